/** Ms without news after which what is shown is not called live any more. */
export const STALE_AFTER = 3000

/** How the page is connected: `full`: the console has as many pages as it serves; `away`: it does not answer. */
export type Link = 'connecting' | 'live' | 'full' | 'away'

export interface Freshness {
  readonly fresh: boolean
  /** One line for people. */
  readonly text: string
  /** When the last news came, Unix ms; null when none ever did. */
  readonly since: number | null
}

/**
 * What is to be said of how old the figures are.
 *
 * @param heard when news came last, Unix ms; null when they never did
 */
export function freshness(heard: number | null, link: Link, now: number): Freshness {
  if (heard === null) {
    return { fresh: false, since: null, text: link === 'connecting' ? 'connecting' : reason(link) }
  }
  if (now - heard < STALE_AFTER && link !== 'full') return { fresh: true, since: heard, text: 'live' }
  return { fresh: false, since: heard, text: reason(link) }
}

function reason(link: Link): string {
  if (link === 'full') return 'this console serves no more pages at once: close another one. Trying again'
  if (link === 'away') return 'the console does not answer: is it still running? Trying again'
  return 'nothing has come for some seconds. Trying again'
}
