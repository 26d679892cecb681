import type { Verdict } from '../contract.ts'

/** How a state of the verdict looks. */
export function looks(state: Verdict['state']): {
  readonly kind: 'good' | 'bad' | 'warn' | 'unknown'
  readonly icon: 'check' | 'cross' | 'search' | 'question'
  /** For the tab's title. */
  readonly sign: string
} {
  switch (state) {
    case 'exact':
      return { kind: 'good', icon: 'check', sign: '✓' }
    case 'violated':
      return { kind: 'bad', icon: 'cross', sign: '✗' }
    case 'checking':
      return { kind: 'warn', icon: 'search', sign: '…' }
    case 'unknown':
      return { kind: 'unknown', icon: 'question', sign: '?' }
  }
}

/** The verdict in two or three words. */
export function headline({ state }: Pick<Verdict, 'state'>): string {
  switch (state) {
    case 'exact':
      return 'Exactly once'
    case 'violated':
      return 'Not exactly once'
    case 'checking':
      return 'Checking the files'
    case 'unknown':
      return 'No verdict'
  }
}

/** Title of the tab: a look at the tabs tells whether all is well. */
export function titleOf(verdict: Verdict | undefined, fresh: boolean, page: string): string {
  const sign = verdict ? looks(fresh ? verdict.state : 'unknown').sign : '?'
  return `${sign} ${page} · Conveyor`
}
