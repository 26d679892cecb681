import { useId, useState } from 'preact/hooks'
import type { Letter } from '../contract.ts'
import { useCommand } from './action.tsx'
import { post, type Refused } from './api.ts'
import { Command } from './command.tsx'
import { Dialog } from './dialog.tsx'
import { pretty } from './format.ts'
import { Failed } from './notice.tsx'
import { typedPayload } from './payload.ts'
import { tell } from './toasts.tsx'

interface Props {
  readonly letter: Letter
  readonly close: () => void
  readonly done: () => void
}

/** Replays a letter with another payload. */
export function EditDialog({ letter, close, done }: Props) {
  const [text, setText] = useState(pretty(letter.payload ?? '{}'))
  const [state, setState] = useState<{ busy: boolean; error?: Refused }>({ busy: false })
  const id = useId()
  const { payload, error } = typedPayload(text, letter.package)
  const command = useCommand({ do: 'edit', letter: letter.id, payload: payload ?? {} })
  const submit = async (event: Event) => {
    event.preventDefault()
    if (!payload) return
    setState({ busy: true })
    try {
      tell(await post(`letters/${encodeURIComponent(letter.id)}/edit`, { payload }))
      done()
      close()
    } catch (error) {
      setState({ busy: false, error: error as Refused })
    }
  }
  return (
    <Dialog title="Edit and replay" close={close}>
      <form class="stack" onSubmit={submit}>
        <p>
          The message returns to the stream with this payload. Its package number and the time it was produced
          stay.
        </p>
        <label>
          <span>Payload, a JSON object</span>
          <textarea
            rows={12}
            spellcheck={false}
            value={text}
            aria-invalid={error !== undefined}
            aria-describedby={id}
            onInput={event => setText(event.currentTarget.value)}
          />
        </label>
        <p id={id} class="bad" role="status">
          {error}
        </p>
        {payload && <Command line={command} />}
        {state.error && <Failed error={state.error} />}
        <div class="row end">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={state.busy || !payload}>
            Replay with this payload
          </button>
        </div>
      </form>
    </Dialog>
  )
}
