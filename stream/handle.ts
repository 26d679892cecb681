import { type Context, context, INVALID_SPAN_CONTEXT, type Span, trace } from '@opentelemetry/api'
import { mergeMap, type OperatorFunction } from 'rxjs'
import { emit } from './emit.ts'
import { type EntrySpans, endSpan } from './entry-spans.ts'
import { HandlerTimeout } from './failure.ts'
import { type Message, Poison } from './message.ts'
import type { Durations } from './metrics.ts'
import { done, failed, isFailed, type Outcome, type OutcomeOptions, poisoned } from './outcome.ts'
import type { Delivery } from './read.ts'
import { ATTRIBUTE } from './semconv.ts'
import { isSampled } from './tracing.ts'

export interface HandlerContext {
  /** The consumer's id. */
  readonly consumer: string
  /** Counted from 1: which attempt at this package it is. */
  readonly attempt: number
  /** Aborted when the outcome will not be asked for any more: at a timeout, or when the session is lost. */
  readonly signal: AbortSignal
  /** The span of this attempt; one that records nothing, when the package is not traced. */
  readonly span: Span
  /** Writes to the consumer's log, with the package and the attempt. */
  readonly log: HandlerLog
}

/** What a handler can log with: fields and a text, or a text. */
export type HandlerLog = Record<'debug' | 'info' | 'warn' | 'error', LogMethod>

interface LogMethod {
  (text: string): void
  (fields: object, text?: string): void
}

/**
 * What is done with a package. Returning is done. A returned string becomes the package's output line
 * (without a newline); otherwise the line is `Consumer <id> processed package <n> (timestamp: <t>)`.
 *
 * A thrown {@link RetryLater} has it given the package again when it says, a thrown {@link Reject} sends the package
 * to the dead letters. Anything else that is thrown, and a timeout, is retried with growing delay. After the last
 * attempt that is allowed, the package goes to the dead letters. Its effects outside may happen twice; what it
 * returns counts once.
 */
export type Handler = (message: Message, context: HandlerContext) => unknown

export interface HandleOptions extends OutcomeOptions {
  /** Calls at the same time, when the handler is asynchronous. */
  readonly concurrency: number
  /** Ms until an asynchronous call is given up; 0 for never. */
  readonly timeout: number
  /** What `context.log` is for a package; default the console. */
  readonly log?: (message: Message) => HandlerLog
  /** Aborted when the session is lost. */
  readonly signal: AbortSignal
  readonly spans?: EntrySpans
  /** Gets how long each call took, seconds. */
  readonly duration?: Durations
}

/**
 * Calls the handler for each entry and emits outcomes as they come, in groups. A synchronous handler
 * costs nothing per message but its call. Completes when the source has and all calls have ended.
 */
export function handle(handler: Handler, options: HandleOptions): OperatorFunction<Delivery[], Outcome[]> {
  const slots = new Slots(options.concurrency)
  return mergeMap(batch => emit(() => outcomes(batch, handler, options, slots)))
}

async function* outcomes(
  batch: Delivery[],
  handler: Handler,
  options: HandleOptions,
  slots: Slots,
): AsyncGenerator<Outcome[]> {
  let ready: Outcome[] = []
  const running = new Set<Promise<void>>()
  for (const delivery of batch) {
    if (slots.full) {
      if (ready.length > 0) {
        yield ready
        ready = []
      }
      await slots.free()
    }
    const outcome = settle(delivery, handler, options)
    if (!(outcome instanceof Promise)) {
      ready.push(outcome)
      continue
    }
    slots.take()
    const call: Promise<void> = outcome.then(value => {
      ready.push(value)
      running.delete(call)
      slots.give()
    })
    running.add(call)
  }
  for (;;) {
    if (ready.length > 0) {
      const group = ready
      ready = []
      yield group
    } else if (running.size > 0) await Promise.race(running)
    else return
  }
}

function settle(delivery: Delivery, handler: Handler, options: HandleOptions): Outcome | Promise<Outcome> {
  const { entry, message, origin } = delivery
  if (delivery.skip) return { entry, kind: 'skip' }
  if (message instanceof Poison)
    return traced(poisoned(delivery, message), delivery, performance.now(), options)
  const span = options.spans?.begin(delivery)
  const within = span ? trace.setSpan(origin ?? context.active(), span) : origin
  const started = performance.now()
  const end = (outcome: Outcome): Outcome => {
    const failed = isFailed(outcome) ? { [ATTRIBUTE.errorType]: outcome.reason } : undefined
    options.duration?.record((performance.now() - started) / 1000, failed)
    if (!span) return failed ? traced(outcome, delivery, started, options) : outcome
    endSpan(span, outcome)
    return inTrace(outcome, within as Context, origin)
  }
  try {
    const result = call(handler, message, within, options)
    return result instanceof Promise
      ? result.then(
          line => end(done(delivery, message, line, options)),
          error => end(failed(delivery, message, error, options)),
        )
      : end(done(delivery, message, result, options))
  } catch (error) {
    return end(failed(delivery, message, error, options))
  }
}

/** What went wrong is traced also when nobody had thought of tracing the package. */
function traced(outcome: Outcome, delivery: Delivery, started: number, { spans }: HandleOptions): Outcome {
  if (!isFailed(outcome) || !spans) return delivery.origin ? { ...outcome, trace: delivery.origin } : outcome
  return inTrace(outcome, spans.failed(delivery, outcome.reason, started), delivery.origin)
}

/** A failure that nobody had thought of tracing begins the trace of all that follows; others keep their producer's. */
function inTrace(outcome: Outcome, within: Context, origin: Context | undefined): Outcome {
  const begun = isFailed(outcome) && !isSampled(origin && trace.getSpanContext(origin))
  return begun ? { ...outcome, trace: within, begun } : { ...outcome, trace: within }
}

/**
 * Calls the handler in the trace that the message belongs to; gives a promise up after the timeout. Whatever is
 * thenable comes back as a Promise, so that nobody has to ask it again.
 */
function call(
  handler: Handler,
  message: Message,
  within: Context | undefined,
  options: HandleOptions,
): unknown {
  const own = new Call(message, within, options)
  const result = within ? context.with(within, () => handler(message, own)) : handler(message, own)
  if (!isThenable(result)) return result
  if (options.timeout === 0) return Promise.resolve(result)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = new HandlerTimeout(options.timeout)
      own.abort(error)
      reject(error)
    }, options.timeout)
    Promise.resolve(result)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}

/** The context of one call. Its signal is made only if the handler asks for it. */
class Call implements HandlerContext {
  private both: AbortSignal | undefined
  private controller: AbortController | undefined
  private reason: Error | undefined
  private logger: HandlerLog | undefined
  constructor(
    private readonly message: Message,
    private readonly within: Context | undefined,
    private readonly options: HandleOptions,
  ) {}

  get consumer(): string {
    return this.options.consumer
  }

  get attempt(): number {
    return this.message.attempt
  }

  get span(): Span {
    return (this.within && trace.getSpan(this.within)) ?? trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
  }

  get log(): HandlerLog {
    this.logger ??= this.options.log?.(this.message) ?? console
    return this.logger
  }

  get signal(): AbortSignal {
    if (!this.both) {
      this.controller = new AbortController()
      if (this.reason) this.controller.abort(this.reason)
      this.both = AbortSignal.any([this.options.signal, this.controller.signal])
    }
    return this.both
  }

  abort(reason: Error): void {
    this.reason = reason
    this.controller?.abort(reason)
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** Counts calls that run at the same time, across batches. */
class Slots {
  private taken = 0
  private waiting: (() => void)[] = []
  constructor(private readonly most: number) {}

  get full(): boolean {
    return this.taken >= this.most
  }

  take(): void {
    this.taken++
  }

  give(): void {
    this.taken--
    this.waiting.shift()?.()
  }

  async free(): Promise<void> {
    while (this.full) await new Promise<void>(resolve => this.waiting.push(resolve))
  }
}
