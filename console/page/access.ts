import type { About } from '../contract.ts'

/** Whether changes can be made now; `ask`: once a token is given. */
export type Access = 'yes' | 'ask' | 'no'

export function access(about: About | null, token: string | null): Access {
  if (!about || about.changes === 'refused') return 'no'
  return about.changes === 'open' || token !== null ? 'yes' : 'ask'
}
