import type { ComponentChildren } from 'preact'
import { useId, useLayoutEffect, useRef } from 'preact/hooks'
import { Icon } from './icons.tsx'

/** What the focus goes to, the first of them that there is. */
const FIRST = ['[data-first]', 'textarea', 'input:not([type=checkbox])']

/**
 * A modal dialog. The focus goes to what is to be typed, if anything is; Escape closes it, and the focus goes back to
 * where it was.
 */
export function Dialog(props: {
  readonly title: string
  readonly close: () => void
  readonly children: ComponentChildren
}) {
  const { title, close, children } = props
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useLayoutEffect(() => {
    const before = document.activeElement
    const dialog = element.current
    dialog?.showModal()
    const first = FIRST.map(selector => dialog?.querySelector<HTMLElement>(selector)).find(Boolean)
    first?.focus()
    return () => {
      dialog?.close()
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onCancel={event => {
        event.preventDefault()
        close()
      }}
    >
      <div class="dialog-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="plain" onClick={close} aria-label="Close">
          <Icon name="cross" />
        </button>
      </div>
      {children}
    </dialog>
  )
}
