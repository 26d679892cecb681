import { useEffect } from 'preact/hooks'
import { hrefOf, type Page } from './route.ts'

/** What follows `g`, and where that goes. */
export const GOES: Readonly<Record<string, Page>> = {
  o: 'overview',
  c: 'consumers',
  p: 'pending',
  d: 'dead',
  s: 'search',
  h: 'health',
  a: 'audit',
}

/** Ms within which the second key has to follow. */
const WITHIN = 1500

/** `/` goes to the search field, `g` and a letter to a page; not while something is being typed. */
export function useShortcuts(): void {
  useEffect(() => {
    let went = 0
    const pressed = (event: KeyboardEvent) => {
      const { target, key } = event
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return
      if (target instanceof HTMLElement && target.closest('input, textarea, select')) return
      if (key === '/') {
        event.preventDefault()
        document.querySelector<HTMLInputElement>('#find')?.focus()
      } else if (key === 'g') {
        went = event.timeStamp
        return
      } else if (event.timeStamp - went < WITHIN && Object.hasOwn(GOES, key)) {
        location.hash = hrefOf(GOES[key] as Page)
      }
      went = 0
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [])
}
