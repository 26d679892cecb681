import { useState } from 'preact/hooks'
import type { Bulk, LetterFilter, LetterPage, Started } from '../contract.ts'
import { useCommand } from './action.tsx'
import { post, type Refused } from './api.ts'
import { Command } from './command.tsx'
import { Dialog } from './dialog.tsx'
import { count, plural } from './format.ts'
import { chosen, confirms } from './letter-filter.ts'
import { Failed } from './notice.tsx'
import { actedOn } from './selection.ts'
import { tell } from './toasts.tsx'

/** What is to be done with which letters. */
export interface BulkChoice {
  readonly action: 'replay' | 'purge'
  /** As it was when it was chosen: what dies meanwhile is not touched. */
  readonly page: LetterPage
  readonly filter: LetterFilter
  /** The filter for people; '' when it takes all. */
  readonly words: string
  /** The selected ones; without, all that match. */
  readonly ids?: readonly string[]
}

interface Props {
  readonly choice: BulkChoice
  readonly close: () => void
  readonly done: () => void
}

/** Shows how many letters an action is about, and has that confirmed: by typing the number when it is for all. */
export function BulkDialog({ choice, close, done }: Props) {
  const { action, page, filter, words, ids } = choice
  const [typed, type] = useState('')
  const [rate, setRate] = useState('')
  const [quarantined, setQuarantined] = useState(false)
  const [state, setState] = useState<{ busy: boolean; error?: Refused }>({ busy: false })
  const acted = ids && actedOn(page.letters, ids, action, quarantined)
  const number = acted ? acted.length : chosen(page, action, quarantined)
  const rows = ids ? page.letters.filter(({ id }) => ids.includes(id)) : undefined
  const inQuarantine = rows ? rows.filter(row => row.quarantined).length : page.quarantined
  const stay = rows ? rows.filter(row => row.unreplayable !== null).length : page.unreplayable
  const badRate = rate !== '' && !(Number(rate) > 0)
  const bulk: Bulk = {
    ...(acted ? { ids: acted } : { filter, count: number, through: page.through ?? '' }),
    ...(rate !== '' && !badRate && { rate: Number(rate) }),
    ...(quarantined && { quarantined }),
  }
  const command = useCommand({ do: action, bulk })
  const ready = !state.busy && !badRate && number > 0 && (ids !== undefined || confirms(typed, number))
  const submit = async (event: Event) => {
    event.preventDefault()
    if (!ready) return
    setState({ busy: true })
    try {
      tell(await post<Started>(`letters/${action}`, bulk))
      done()
      close()
    } catch (error) {
      setState({ busy: false, error: error as Refused })
    }
  }
  const verb = action === 'replay' ? 'Replay' : 'Purge'
  return (
    <Dialog title={`${verb} ${plural(number, 'dead letter')}`} close={close}>
      <form class="stack" onSubmit={submit}>
        <p>{meaning(action)}</p>
        {!ids && (
          <p class="break">
            {words ? `All that match: ${words}.` : 'All of this group.'}{' '}
            <span class="soft">{inReasons(page)}</span>
          </p>
        )}
        {action === 'replay' && (
          <>
            {inQuarantine > 0 && (
              <label class="row check">
                <input
                  type="checkbox"
                  checked={quarantined}
                  onChange={event => setQuarantined(event.currentTarget.checked)}
                />
                <span>Also those in quarantine ({count(inQuarantine)}), which failed again and again</span>
              </label>
            )}
            {stay > 0 && (
              <p class="soft">{plural(stay, 'letter')} of earlier runs or without payload stay.</p>
            )}
            <label>
              <span>At most so many a second</span>
              <input
                inputMode="decimal"
                value={rate}
                placeholder="as fast as can be"
                aria-invalid={badRate}
                onInput={event => setRate(event.currentTarget.value.trim())}
              />
            </label>
          </>
        )}
        {!ids && (
          <label>
            <span>
              Type <b>{count(number)}</b> to confirm
            </span>
            <input
              data-first
              autocomplete="off"
              inputMode="numeric"
              value={typed}
              onInput={event => type(event.currentTarget.value)}
            />
          </label>
        )}
        <Command line={command} />
        {state.error && <Failed error={state.error} />}
        <div class="row end">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class={action === 'purge' ? 'danger' : 'primary'} disabled={!ready}>
            {verb} {count(number)}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** `handler failed 812, rejected 91` */
function inReasons({ reasons }: LetterPage): string {
  const rows = Object.entries(reasons).sort(([, a], [, b]) => b - a)
  return rows.map(([reason, letters]) => `${reason} ${count(letters)}`).join(', ')
}

function meaning(action: 'replay' | 'purge'): string {
  return action === 'replay'
    ? 'Each message returns to the stream once, with its number, its trace and its failures so far, and begins at attempt 1.'
    : 'They are deleted for good: no file will ever have these packages. Export them first if they may be asked for later.'
}
