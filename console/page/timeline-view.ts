import type { HistoryEvent } from '../contract.ts'

export interface Step {
  readonly event: HistoryEvent
  readonly kind: 'good' | 'bad' | 'warn' | 'plain'
  /** Ms since the first; 0 for it. */
  readonly after: number
  /** It came long after the one before: the line between them is broken. */
  readonly pause: boolean
  readonly key: string
}

/** Ms between two steps from which on it is called a pause. */
const PAUSE = 60_000

/** The steps of a history, oldest first, as a timeline shows them. */
export function steps(history: readonly HistoryEvent[]): readonly Step[] {
  const [first] = history
  return history.map((event, index) => ({
    event,
    kind: kindOf(event.event),
    after: Math.max(0, event.at - (first?.at ?? event.at)),
    pause: event.at - (history[index - 1]?.at ?? event.at) >= PAUSE,
    key: `${index} ${event.event} ${event.at}`,
  }))
}

function kindOf(event: HistoryEvent['event']): Step['kind'] {
  switch (event) {
    case 'committed':
      return 'good'
    case 'failed':
    case 'claimed':
      return 'warn'
    case 'dead':
    case 'purged':
      return 'bad'
    default:
      return 'plain'
  }
}
