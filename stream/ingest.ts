import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Context, propagation, ROOT_CONTEXT, type Span, SpanKind, trace } from '@opentelemetry/api'
import { type AppendOptions, type Ask, Lane, OutcomeUnknown } from './append.ts'
import { packages } from './message.ts'
import { Script } from './scripts.ts'
import { ATTRIBUTE } from './semconv.ts'
import { fail, getTracer, isSampled, type Kind, spansOf } from './tracing.ts'

/** Messages from outside, which are appended all or not at all. */
export interface IngestRequest {
  /** JSON texts, one a message, 1 to {@link MOST_MESSAGES}. A message's payload is `{"package": <n>, "body": <it>}`. */
  readonly bodies: readonly string[]
  /** Names the request: made again within 24 h, by whichever process, it appends nothing and gets its first answer. */
  readonly key?: string | undefined
  /** The trace that it belongs to. */
  readonly parent?: Context
  /** Aborted to withdraw it, for as long as it is not part of a call. */
  readonly signal?: AbortSignal
}

export interface Ingested {
  readonly epoch: string
  /** Package number of the first message; those of the others follow. */
  readonly first: number
  readonly count: number
  /** Entry that carries the first message; those of the others follow ({@link idsOf}). */
  readonly id: string
  /** Whether it had been appended before, under the same key. */
  readonly repeated: boolean
}

/** Messages of a request at most. */
export const MOST_MESSAGES = 1000

/** The key stands for a request with other messages. Nothing was appended. */
export class KeyReused extends Error {
  constructor(readonly key: string) {
    super(`the key ${JSON.stringify(key)} stands for a request with other messages`)
    this.name = 'KeyReused'
  }
}

/** The request was not sent to Redis, and will not be. */
export class NotAppended extends Error {
  constructor(reason: string) {
    super(`nothing was appended: ${reason}`)
    this.name = 'NotAppended'
  }
}

export interface IngestOptions extends Omit<AppendOptions, 'last'> {
  /** Ms after which a request is given up; default 10,000. */
  readonly patience?: number
}

interface Waiting {
  readonly request: IngestRequest
  readonly fingerprint: string
  readonly bytes: number
  readonly span: Span
  readonly timer: NodeJS.Timeout
  sent: boolean
  /** Whether whoever asked has been answered. */
  over: boolean
  resolve(answer: Ingested): void
  reject(error: Error): void
}

type Reply = { epoch: string; first: string; id: string; answers: string[] }

/** Messages and bytes in one call, so that Redis is never busy with one for long. */
const CALL = { messages: 1000, bytes: 1024 * 1024 }
/** Requests and bytes that may wait, for as long as Redis is away. */
const QUEUE = { requests: 10_000, bytes: 64 * 1024 * 1024 }

const script = new Script<string>('ingest')

/**
 * Appends messages that come from outside. Whatever comes while Redis is busy with a call goes together in the next
 * one, so that they share its syncing (group commit).
 */
export class Ingest {
  private readonly lane: Lane
  private readonly kind: Kind
  private waiting: Waiting[] = []
  private bytes = 0
  private working: Promise<void> | undefined
  private closed = false

  constructor(private readonly options: IngestOptions) {
    this.lane = new Lane(options)
    this.kind = spansOf(options.keys, 'send', options.url)
  }

  /**
   * Resolves when Redis has the messages; on a Redis with `appendfsync always`, when its disk has.
   *
   * @throws {KeyReused}
   * @throws {NotAppended} too many wait, it has waited for too long, or it was withdrawn
   * @throws {OutcomeUnknown} it was sent, and no answer came; under a key it can be made again
   */
  add(request: IngestRequest): Promise<Ingested> {
    if (this.closed) return Promise.reject(new NotAppended('the producer is stopping'))
    const bytes = request.bodies.reduce((sum, body) => sum + body.length, 0)
    if (this.waiting.length >= QUEUE.requests || this.bytes + bytes > QUEUE.bytes)
      return Promise.reject(new NotAppended('too many requests wait for Redis'))
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        request,
        fingerprint: request.key === undefined ? '' : fingerprintOf(request.bodies),
        bytes,
        span: this.begin(request),
        timer: setTimeout(() => this.giveUp(waiting), this.options.patience ?? 10_000),
        sent: false,
        over: false,
        resolve,
        reject,
      }
      this.waiting.push(waiting)
      this.bytes += bytes
      this.working ??= this.work()
    })
  }

  /** Takes nothing more, finishes what has been taken, and lets go of the connection. */
  async close(): Promise<void> {
    this.closed = true
    await this.working
    this.lane.close()
  }

  private async work(): Promise<void> {
    await nextTurn() // those that come in the same turn of the event loop go together
    while (this.waiting.length > 0) {
      this.dropWithdrawn()
      const batch = this.take()
      if (batch.length === 0) break
      try {
        const answers = await this.lane.request(this.call(batch))
        for (const [n, waiting] of batch.entries()) this.settle(waiting, answers[n] as Ingested | undefined)
      } catch (error) {
        for (const waiting of batch) this.refuse(waiting, error as Error)
      }
    }
    this.working = undefined
  }

  private dropWithdrawn(): void {
    const withdrawn = this.waiting.filter(({ request }) => request.signal?.aborted)
    if (withdrawn.length === 0) return
    this.waiting = this.waiting.filter(({ request }) => !request.signal?.aborted)
    for (const waiting of withdrawn) {
      this.bytes -= waiting.bytes
      this.refuse(waiting, new NotAppended('it was withdrawn'))
    }
  }

  /** The next requests that fit into a call; one alone may be larger. */
  private take(): Waiting[] {
    let [n, messages, bytes] = [0, 0, 0]
    for (const { request, bytes: more } of this.waiting) {
      messages += request.bodies.length
      bytes += more
      if (n > 0 && (messages > CALL.messages || bytes > CALL.bytes)) break
      n++
    }
    const batch = this.waiting.splice(0, n)
    for (const waiting of batch) {
      waiting.sent = true
      this.bytes -= waiting.bytes
    }
    return batch
  }

  private call(batch: Waiting[]): Ask<(Ingested | undefined)[]> {
    const { keys, events } = this.options
    const args = batch.flatMap(encode)
    const named = batch.flatMap(({ request }) => request.key ?? []).map(key => keys.idempotency(hash(key)))
    return async (redis, { key, epoch, counter }) => {
      const asked = performance.now()
      const reply = await script.run(
        redis,
        [keys.stream, keys.head, key, ...named],
        [epoch, String(counter), ...args],
      )
      const answers = read(JSON.parse(reply))
      const fresh = answers.filter(answer => answer?.repeated === false) as Ingested[]
      const count = fresh.reduce((sum, answer) => sum + answer.count, 0)
      if (fresh[0])
        events?.next({ type: 'appended', first: fresh[0].first, count, ms: performance.now() - asked })
      return answers
    }
  }

  private begin({ bodies, parent = ROOT_CONTEXT }: IngestRequest): Span {
    const { name, attributes } = this.kind
    const more = bodies.length > 1 && { [ATTRIBUTE.batch]: bodies.length }
    return getTracer().startSpan(
      name,
      { kind: SpanKind.PRODUCER, attributes: { ...attributes, ...more } },
      parent,
    )
  }

  private settle(waiting: Waiting, answer: Ingested | undefined): void {
    if (!answer) {
      this.refuse(waiting, new KeyReused(waiting.request.key as string))
      return
    }
    if (waiting.over) return
    waiting.span.setAttributes({ [ATTRIBUTE.package]: answer.first, [ATTRIBUTE.epoch]: answer.epoch })
    this.end(waiting)
    waiting.resolve(answer)
  }

  private refuse(waiting: Waiting, error: Error): void {
    if (waiting.over) return
    fail(waiting.span, error.name)
    this.end(waiting)
    waiting.reject(error)
  }

  private end(waiting: Waiting): void {
    waiting.over = true
    clearTimeout(waiting.timer)
    waiting.span.end()
  }

  private giveUp(waiting: Waiting): void {
    const late = 'Redis has not answered in time'
    if (!waiting.sent) {
      this.waiting = this.waiting.filter(one => one !== waiting)
      this.bytes -= waiting.bytes
    }
    this.refuse(waiting, waiting.sent ? new OutcomeUnknown(late) : new NotAppended(late))
  }
}

/** Ids of a request's messages, in order: those of the entries that carried them first. */
export function idsOf({ id, count }: Pick<Ingested, 'id' | 'count'>): string[] {
  const [ms, sequence] = id.split('-')
  return Array.from({ length: count }, (_, n) => `${ms}-${Number(sequence) + n}`)
}

function encode({ request: { bodies }, fingerprint, span }: Waiting): (string | number)[] {
  const { before } = packages(1)
  const headers: Record<string, string> = {}
  if (isSampled(span.spanContext())) propagation.inject(trace.setSpan(ROOT_CONTEXT, span), headers)
  const fields = Object.entries(headers).flat()
  const afters = bodies.map(body => `,"body":${body}}}`)
  return [fingerprint, before, fields.length, ...fields, afters.length, ...afters]
}

/** The answers as `lua/ingest.lua` names them; undefined where the key stands for other messages. */
function read({ epoch, first, id, answers }: Reply): (Ingested | undefined)[] {
  const [ms, sequence] = id.split('-')
  let offset = 0
  return answers.map(answer => {
    if (answer === '') return undefined
    const [a, many, entry] = answer.split(' ')
    if (entry !== undefined)
      return { epoch, first: Number(a), count: Number(many), id: entry, repeated: true }
    const count = Number(a)
    const at = { first: Number(first) + offset, id: `${ms}-${Number(sequence) + offset}` }
    offset += count
    return { epoch, ...at, count, repeated: false }
  })
}

function fingerprintOf(bodies: readonly string[]): string {
  return hash(bodies.join('\n'))
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 32)
}
