import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { commandOf } from '../commands.ts'
import type { Action } from '../contract.ts'
import { about, post } from './api.ts'
import { useStore } from './store.ts'
import { tell, tellFailure } from './toasts.tsx'
import { useAccess, withToken } from './token-dialog.tsx'

/** The command line that does the same as an action. */
export function useCommand(action: Action): string {
  return commandOf(action, useStore(about)?.target)
}

/** A button that changes something at once. On hover, and when it is done, it tells the command that does the same. */
export function ActionButton(props: {
  readonly path: string
  readonly body?: unknown
  /** The command line that does the same. */
  readonly command: string
  /** What it does, for screen readers: its text may be one of many that are the same. */
  readonly label: string
  readonly children: ComponentChildren
  readonly class?: string
  readonly done?: () => void
}) {
  const { path, body, command, label, children, done } = props
  const [busy, setBusy] = useState(false)
  const access = useAccess()
  const why = useStore(about)?.why
  const act = async () => {
    setBusy(true)
    try {
      tell({ ...(await post(path, body)), command })
      done?.()
    } catch (error) {
      tellFailure(error)
    } finally {
      setBusy(false)
    }
  }
  return (
    <button
      type="button"
      class={props.class ?? 'small'}
      disabled={busy || access === 'no'}
      aria-label={label}
      title={access === 'no' ? (why ?? 'Read-only') : `${label}\n$ ${command}`}
      onClick={() => withToken(act)}
    >
      {children}
    </button>
  )
}
