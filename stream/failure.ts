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
    if (typeof ms !== 'number' || !(ms >= 0 && ms <= MOST))
      throw new RangeError(`RetryLater(${String(ms)}): ms from 0 to ${MOST} are allowed`)
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

function marked(error: unknown, mark: string): boolean {
  return (error as { [OUTCOME]?: unknown } | null | undefined)?.[OUTCOME] === mark
}

export function isRetryLater(error: unknown): error is RetryLater {
  return marked(error, 'retry')
}

export function isReject(error: unknown): error is Reject {
  return marked(error, 'reject')
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
const DETAIL = 500
const STACK = 4000
/** Characters of it in a dead letter. */
const TEXT = 10_000

export function addFailure(failures: readonly Failure[], failure: Failure): Failure[] {
  return [...failures, { ...failure, detail: failure.detail.slice(0, DETAIL) }].slice(-KEPT)
}

/** What was thrown, as a text. Anything can be thrown, also what has none. */
export function textOf(thrown: unknown): string {
  try {
    const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
    return text.slice(0, TEXT)
  } catch {
    return 'something that has no text'
  }
}

export function stackOf(thrown: unknown): string {
  try {
    const stack = thrown instanceof Error ? thrown.stack : undefined
    return typeof stack === 'string' ? stack.slice(0, STACK) : ''
  } catch {
    return ''
  }
}

/**
 * Ms to wait after the failed attempt `n` (from 1): doubles from `first` up to `most`. Between half of that and all
 * of it, at random, so that what failed together does not come back together.
 */
export function retryDelay(n: number, first: number, most: number): number {
  return Math.round(Math.min(most, first * 2 ** Math.min(n - 1, 40)) * (0.5 + Math.random() / 2))
}
