/** What a handler throws says what becomes of the package. Known by this mark, also from another copy of the library. */
const OUTCOME = Symbol.for('conveyor.outcome')

/** Ms that a retry may be put off at most: a year. */
const MOST = 366 * 24 * 3600_000

/**
 * Thrown by a handler to be given the package again after `ms`, instead of after the usual delay. It counts as a
 * failed attempt like any other. Throws `RangeError` unless `ms` is a number from 0 to a year.
 */
export class RetryLater extends Error {
  readonly [OUTCOME] = 'retry'
  constructor(
    readonly ms: number,
    reason = 'the handler asked for another attempt',
  ) {
    if (!isDelay(ms)) throw new RangeError(`RetryLater(${String(ms)}): ms from 0 to ${MOST} are allowed`)
    super(reason)
    this.name = 'RetryLater'
  }
}

/** Thrown by a handler that will never be able to handle the package: it goes to the dead letters at once. */
export class Reject extends Error {
  readonly [OUTCOME] = 'reject'
  constructor(reason: string) {
    super(reason)
    this.name = 'Reject'
  }
}

/** A call of the handler did not end in time. */
export class HandlerTimeout extends Error {
  constructor(ms: number) {
    super(`the handler did not return within ${ms} ms`)
    this.name = 'HandlerTimeout'
  }
}

/** What a handler threw, as far as it can be read: a handler can throw anything. */
export interface Thrown {
  /** `retry` and `reject` are what it asked for; `timeout` and `error` what happened to it. */
  readonly kind: 'retry' | 'reject' | 'timeout' | 'error'
  /** Ms, when it said how long to wait. */
  readonly delay?: number
  readonly detail: string
  readonly stack: string
}

/** Reads what was thrown. Never throws, although getters of it may. */
export function readThrown(thrown: unknown): Thrown {
  try {
    const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
    const stack = thrown instanceof Error ? thrown.stack : undefined
    const said = {
      detail: text.slice(0, TEXT),
      stack: typeof stack === 'string' ? stack.slice(0, STACK) : '',
    }
    if (thrown instanceof HandlerTimeout) return { kind: 'timeout', ...said }
    const mark = (thrown as { [OUTCOME]?: unknown } | null | undefined)?.[OUTCOME]
    if (mark === 'reject')
      return { kind: 'reject', ...said, detail: String((thrown as Error).message).slice(0, TEXT) }
    const { ms } = mark === 'retry' ? (thrown as { ms?: unknown }) : {}
    return isDelay(ms) ? { kind: 'retry', delay: ms, ...said } : { kind: 'error', ...said }
  } catch {
    return { kind: 'error', detail: 'something that cannot be read', stack: '' }
  }
}

function isDelay(ms: unknown): ms is number {
  return typeof ms === 'number' && ms >= 0 && ms <= MOST
}

/** A failed attempt, as the message carries it along. */
export interface Failure {
  /** Counted from 1; it begins anew when a dead letter is replayed. */
  readonly attempt: number
  /** When, Unix milliseconds by the consumer's clock. */
  readonly at: number
  readonly consumer: string
  /** One of a few fixed texts, such as `handler failed`. */
  readonly reason: string
  /** What was thrown. */
  readonly detail: string
}

/** Failures that a message carries along at most; older ones are left out. */
const KEPT = 20
/** Characters of what was thrown that are carried along, and of its stack in a dead letter. */
export const DETAIL = 500
const STACK = 4000
/** Characters of it in a dead letter. */
const TEXT = 10_000

export function addFailure(failures: readonly Failure[], failure: Failure): Failure[] {
  return [...failures, { ...failure, detail: failure.detail.slice(0, DETAIL) }].slice(-KEPT)
}

/** Reads {@link Failure}s that came from outside; undefined when they are something else. */
export function readFailures(value: unknown): Failure[] | undefined {
  if (!Array.isArray(value)) return undefined
  const failures: Failure[] = []
  for (const one of value.slice(-KEPT)) {
    const { attempt, at, consumer, reason, detail } = (one ?? {}) as Record<string, unknown>
    if (typeof attempt !== 'number' || typeof at !== 'number') return undefined
    if (typeof consumer !== 'string' || typeof reason !== 'string' || typeof detail !== 'string')
      return undefined
    failures.push({ attempt, at, consumer, reason, detail })
  }
  return failures
}

/**
 * Ms to wait after the failed attempt `n` (from 1): doubles from `first` up to `most`. Between half of that and all
 * of it, at random, so that what failed together does not come back together.
 */
export function retryDelay(n: number, first: number, most: number): number {
  return Math.round(Math.min(most, first * 2 ** Math.min(n - 1, 40)) * (0.5 + Math.random() / 2))
}
