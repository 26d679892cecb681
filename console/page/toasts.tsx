import type { Done } from '../contract.ts'
import { Command } from './command.tsx'
import { Icon } from './icons.tsx'
import { Store, useStore } from './store.ts'

interface Toast {
  readonly id: number
  readonly text: string
  /** The command line that does the same; undefined when something failed. */
  readonly command?: string
  readonly failed: boolean
}

const toasts = new Store<readonly Toast[]>([])
let last = 0

/** Ms for which a toast stays. What failed stays until it is closed. */
const STAYS = 8000

/** Says what was done, and the command line that does the same. */
export function tell({ text, command }: Done): void {
  const id = add({ text, command, failed: false })
  setTimeout(() => remove(id), STAYS)
}

export function tellFailure(error: unknown): void {
  add({ text: error instanceof Error ? error.message : String(error), failed: true })
}

function add(toast: Omit<Toast, 'id'>): number {
  toasts.set([...toasts.value.slice(-2), { id: ++last, ...toast }])
  return last
}

function remove(id: number): void {
  toasts.set(toasts.value.filter(toast => toast.id !== id))
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {useStore(toasts).map(({ id, text, command, failed }) => (
        <div key={id} class={failed ? 'toast bad-toast' : 'toast'}>
          <p>
            <Icon name={failed ? 'warning' : 'check'} /> <span class="break">{text}</span>
            <button type="button" class="plain small" onClick={() => remove(id)} aria-label="Close">
              <Icon name="cross" />
            </button>
          </p>
          {command !== undefined && <Command line={command} />}
        </div>
      ))}
    </div>
  )
}
