import type { Context } from '@opentelemetry/api'
import { addFailure, readThrown, retryDelay } from './failure.ts'
import { messagesOf } from './forward.ts'
import type { Message, Past, Poison } from './message.ts'
import type { Delivery } from './read.ts'
import type { Reason } from './reasons.ts'
import { DEFAULTS } from './settings.ts'
import type { Finished } from './sink.ts'

/** What became of an entry. `line`: what is written, without a newline. `delay`: ms until the next attempt. */
export type Outcome = {
  readonly entry: string
  readonly package?: number
  /** The trace that it belongs to, if any: within its own span, or else as its producer sent it. */
  readonly trace?: Context
  /** Whether that trace began with this attempt: the message is to carry it from now on. */
  readonly begun?: true
  /** Unix ms at which the entry was received. */
  readonly received?: number
  /** What happened to the message so far, this attempt included. Only what it needs is there: done at once is nothing. */
  readonly past?: Past
} /** `forwards`: messages for the next stream, JSON. `finished`: what a sink gets, if there is one. */ & (
  | {
      readonly kind: 'done'
      readonly line: string
      readonly forwards?: readonly string[]
      readonly finished?: Finished
    }
  | { readonly kind: 'skip' }
  | ({ readonly kind: 'retry'; readonly delay: number } & Failed)
  | ({ readonly kind: 'dead' } & Failed)
)

export interface Failed {
  /** A {@link Reason}. */
  readonly reason: string
  /** For people. */
  readonly detail: string
  readonly stack?: string
}

export function isFailed(outcome: Outcome): outcome is Extract<Outcome, Failed> {
  return outcome.kind === 'retry' || outcome.kind === 'dead'
}

/** What decides about the outcome of a call. */
export interface OutcomeOptions {
  readonly consumer: string
  /** Whether what a handler returns is for the next stream, and not its line. */
  readonly forwards?: boolean
  /** Whether there is a sink that gets what is done. */
  readonly stores?: boolean
  /** Attempts at a package before it goes to the dead letters. */
  readonly maxAttempts?: number
  /** Ms until the second attempt at most, doubled with each further one up to `retryMaxDelay`. */
  readonly retryDelay?: number
  readonly retryMaxDelay?: number
}

export function done(
  delivery: Delivery,
  message: Message,
  result: unknown,
  options: OutcomeOptions,
): Outcome {
  const { entry, package: number, timestamp, attempt, deliveries, replays } = message
  const { received } = delivery
  let forwards: readonly string[] = []
  try {
    if (options.forwards) forwards = messagesOf(result)
  } catch (error) {
    return dead(delivery, message, 'invalid message', (error as Error).message, options)
  }
  const line =
    typeof result === 'string' && !options.forwards
      ? result
      : `Consumer ${options.consumer} processed package ${number} (timestamp: ${timestamp})`
  if (line.includes('\n')) {
    return dead(delivery, message, 'invalid line', 'the line contains a newline', options)
  }
  const eventful = attempt > 1 || deliveries > 1 || replays > 0
  const outcome = {
    entry,
    package: number,
    kind: 'done',
    line,
    received,
    ...(options.stores && { finished: { message, result } }),
  } as const
  if (!eventful && forwards.length === 0) return outcome // most are like that
  return { ...outcome, ...(eventful && { past: message }), ...(forwards.length > 0 && { forwards }) }
}

export function failed(
  delivery: Delivery,
  message: Message,
  error: unknown,
  options: OutcomeOptions,
): Outcome {
  const {
    maxAttempts = DEFAULTS.maxAttempts,
    retryDelay: first = DEFAULTS.retryDelay,
    retryMaxDelay: most = DEFAULTS.retryMaxDelay,
  } = options
  const { kind, delay: wanted, detail, stack } = readThrown(error)
  if (kind === 'reject') return dead(delivery, message, 'rejected', detail, options, stack)
  const reason: Reason = kind === 'timeout' ? 'handler timeout' : 'handler failed'
  const { entry, package: number, attempt } = message
  if (attempt >= maxAttempts) return dead(delivery, message, reason, detail, options, stack)
  const delay = wanted ?? retryDelay(attempt, first, most)
  const failure = { attempt, at: Date.now(), consumer: options.consumer, reason, detail }
  const { id, replays, failures } = message
  const past = { id, attempt: attempt + 1, replays, failures: addFailure(failures, failure) }
  return { entry, package: number, kind: 'retry', delay, reason, detail, received: delivery.received, past }
}

function dead(
  { received }: Pick<Delivery, 'received'>,
  { entry, package: number, id, attempt, replays, failures }: Message,
  reason: Reason,
  detail: string,
  { consumer }: OutcomeOptions,
  stack = '',
): Outcome {
  const failure = { attempt, at: Date.now(), consumer, reason, detail }
  const past = { id, attempt, replays, failures: addFailure(failures, failure) }
  return { entry, package: number, kind: 'dead', reason, detail, stack, received, past }
}

/** What was done, but no sink can take. */
export function refused(
  { message }: Finished,
  detail: string,
  outcome: Outcome,
  options: OutcomeOptions,
): Outcome {
  const { received = Date.now(), trace, begun } = outcome
  return {
    ...dead({ received }, message, 'refused by the sink', detail, options),
    ...(trace && { trace }),
    ...(begun && { begun }),
  }
}

export function poisoned(
  { entry, received, past }: Delivery,
  { reason, detail, package: number }: Poison,
): Outcome {
  return {
    entry,
    kind: 'dead',
    reason,
    detail,
    received,
    ...(number && { package: number }),
    ...(past && { past }),
  }
}
