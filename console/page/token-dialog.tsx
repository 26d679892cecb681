import { useState } from 'preact/hooks'
import { type Access, access } from './access.ts'
import { about, token } from './api.ts'
import { Dialog } from './dialog.tsx'
import { Icon } from './icons.tsx'
import { Store, useStore } from './store.ts'

/** What is to be done once a token was given; undefined while none is asked for. */
const asking = new Store<(() => void) | undefined>(undefined)

/** Does it, once there is a token if one is needed. */
export function withToken(act: () => void): void {
  if (access(about.value, token.value) === 'ask') asking.set(act)
  else act()
}

/** Whether changes can be made. */
export function useAccess(): Access {
  return access(useStore(about), useStore(token))
}

export function TokenDialog() {
  const act = useStore(asking)
  const [typed, setTyped] = useState('')
  if (!act) return null
  const close = () => asking.set(undefined)
  const submit = (event: Event) => {
    event.preventDefault()
    token.set(typed)
    setTyped('')
    close()
    act()
  }
  return (
    <Dialog title="A token is needed" close={close}>
      <form onSubmit={submit} class="stack">
        <p class="soft">
          Whoever runs this console has set CONSOLE_TOKEN: changes need it, looking does not. It is kept until
          this tab is closed.
        </p>
        <label>
          <span>Token</span>
          <input
            type="password"
            autocomplete="off"
            value={typed}
            onInput={event => setTyped(event.currentTarget.value)}
          />
        </label>
        <div class="row end">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={typed === ''}>
            Use it
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** In the head: whether changes are allowed, and how to allow them. */
export function AccessMark() {
  const state = useAccess()
  const { why = null, changes } = useStore(about) ?? {}
  if (state === 'yes') {
    return changes === 'token' ? (
      <button type="button" class="plain small" onClick={() => token.set(null)}>
        Forget token
      </button>
    ) : null
  }
  if (state === 'ask') {
    return (
      <button type="button" class="small" onClick={() => asking.set(() => {})}>
        <Icon name="lock" size={14} /> Read-only: give token
      </button>
    )
  }
  return (
    <span class="soft nowrap" title={why ?? ''}>
      <Icon name="lock" size={14} /> Read-only
    </span>
  )
}
