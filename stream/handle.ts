import { type Context, context, trace } from '@opentelemetry/api'
import { from, mergeMap, type OperatorFunction } from 'rxjs'
import { type EntrySpans, endSpan } from './entry-spans.ts'
import { type Message, Poison } from './message.ts'
import type { Durations } from './metrics.ts'
import type { Delivery } from './read.ts'
import { ATTRIBUTE } from './semconv.ts'

export interface HandlerContext {
  /** The consumer's id. */
  readonly consumer: string
  /** Aborted when the outcome will not be asked for any more: at a timeout, or when the session is lost. */
  readonly signal: AbortSignal
}

/**
 * What is done with a package. Returning is done. A returned string becomes the package's output line
 * (without a newline); otherwise the line is `Consumer <id> processed package <n> (timestamp: <t>)`.
 * What it throws sends the package to the dead letters. Its effects outside may happen twice; what it
 * returns counts once.
 */
export type Handler = (message: Message, context: HandlerContext) => unknown

/** What became of an entry. */
export type Outcome = {
  readonly entry: string
  readonly package?: number
  /** The trace that it belongs to, if any: within its own span, or else as its producer sent it. */
  readonly trace?: Context
} & (
  | { readonly kind: 'done'; readonly line: string }
  | { readonly kind: 'dead'; readonly reason: string; readonly detail: string }
)

export interface HandleOptions {
  readonly consumer: string
  /** Calls at the same time, when the handler is asynchronous. */
  readonly concurrency: number
  /** Ms until an asynchronous call is given up; 0 for never. */
  readonly timeout: number
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
  return mergeMap(batch => from(outcomes(batch, handler, options, slots)))
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
    if (!isThenable(outcome)) {
      ready.push(outcome)
      continue
    }
    slots.take()
    const call: Promise<void> = Promise.resolve(outcome).then(value => {
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

function settle(
  delivery: Delivery,
  handler: Handler,
  options: HandleOptions,
): Outcome | PromiseLike<Outcome> {
  const { entry, message, origin } = delivery
  if (message instanceof Poison) {
    const { reason, detail } = message
    return { entry, kind: 'dead', reason, detail, ...(origin && { trace: origin }) }
  }
  const span = options.spans?.begin(delivery)
  const within = span ? trace.setSpan(origin ?? context.active(), span) : origin
  const started = performance.now()
  const end = (outcome: Outcome): Outcome => {
    const failed = outcome.kind === 'dead' ? { [ATTRIBUTE.errorType]: outcome.reason } : undefined
    options.duration?.record((performance.now() - started) / 1000, failed)
    if (span) endSpan(span, outcome)
    return within ? { ...outcome, trace: within } : outcome
  }
  try {
    const result = call(handler, message, within, options)
    return isThenable(result)
      ? result.then(
          line => end(done(message, line, options)),
          error => end(failed(message, error)),
        )
      : end(done(message, result, options))
  } catch (error) {
    return end(failed(message, error))
  }
}

/** Calls the handler in the trace that the message belongs to; gives a promise up after the timeout. */
function call(
  handler: Handler,
  message: Message,
  within: Context | undefined,
  options: HandleOptions,
): unknown {
  const own = new Call(options)
  const result = within ? context.with(within, () => handler(message, own)) : handler(message, own)
  if (!isThenable(result)) return result
  if (options.timeout === 0) return Promise.resolve(result)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = new Poison('handler timeout', `the handler did not return within ${options.timeout} ms`)
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
  constructor(private readonly options: HandleOptions) {}

  get consumer(): string {
    return this.options.consumer
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

function done(message: Message, result: unknown, { consumer }: HandleOptions): Outcome {
  const line =
    typeof result === 'string'
      ? result
      : `Consumer ${consumer} processed package ${message.package} (timestamp: ${message.timestamp})`
  if (line.includes('\n')) return failed(message, new Poison('invalid line', 'the line contains a newline'))
  return { entry: message.entry, package: message.package, kind: 'done', line }
}

function failed(message: Message, error: unknown): Outcome {
  const { entry, package: number } = message
  if (error instanceof Poison)
    return { entry, kind: 'dead', reason: error.reason, detail: error.detail, package: number }
  return { entry, kind: 'dead', reason: 'handler failed', detail: textOf(error), package: number }
}

/** What was thrown, as a text. Anything can be thrown, also what has none. */
function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
  } catch {
    return 'something that has no text'
  }
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
