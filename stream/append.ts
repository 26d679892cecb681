import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { concatMap, defer, finalize, type OperatorFunction } from 'rxjs'
import { backoff } from './backoff.ts'
import { ConnectionLost, connect, isPassing, RedisError } from './connection.ts'
import type { Events } from './events.ts'
import type { Keys } from './keys.ts'
import { openStream, refusal } from './open.ts'
import { Script } from './scripts.ts'
import { Sends } from './send-spans.ts'
import { type Kind, spansOf } from './tracing.ts'

/** Messages that differ only in their number: `count` entries with the data `before + number + after`. */
export interface Template {
  readonly count: number
  readonly before: string
  readonly after: string
  /** Further fields of the entries, such as traceparent. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface Appended {
  readonly epoch: string
  /** First of the numbers given out. */
  readonly first: number
  /** How many; fewer than asked for when `last` is reached. */
  readonly count: number
}

export interface AppendOptions {
  readonly url: string
  readonly keys: Keys
  /** Groups that must be there before anything is appended. */
  readonly groups: string[]
  /** Last package number that may be given out; default none. */
  readonly last?: number
  readonly events?: Events
  /** Ms that a command may wait for its answer. */
  readonly deadline?: number
  /** Ends the attempts to reach Redis again. */
  readonly signal?: AbortSignal
}

/** One attempt at a request, under what names it. */
export type Ask<T> = (
  redis: Redis,
  request: {
    readonly key: string
    readonly epoch: string
    readonly counter: number
    readonly attempt: number
  },
) => Promise<T>

/** It is not known whether the last request was appended, because Redis stayed away for too long. */
export class OutcomeUnknown extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(`it is unknown whether the last request was appended: ${reason}`, options)
    this.name = 'OutcomeUnknown'
  }
}

/** A lane's last answer is kept for 24 h; a request must not be repeated after that. */
const GIVE_UP = 12 * 3600_000

const script = new Script<[first: number, count: number]>('append')

/**
 * Appends each list of templates as one request, in order, and emits the numbers that it was given.
 *
 * One request is in flight at a time. When a connection breaks, the request is repeated under its own
 * counter on a new one, and Redis answers what it answered first: nothing is appended twice. When the
 * stream began a new life meanwhile, the request is made there. Errors with `StreamUnusable`,
 * {@link OutcomeUnknown}, or `RedisError` for what does not pass by itself.
 */
export function append(options: AppendOptions): OperatorFunction<Template[], Appended> {
  return source =>
    defer(() => {
      const lane = new Lane(options)
      return source.pipe(
        concatMap(templates => lane.append(templates)),
        finalize(() => lane.close()),
      )
    })
}

/**
 * One line of requests: each is appended exactly once, one is in flight at a time, further ones wait
 * their turn. What {@link append} says of errors and of broken connections holds here.
 */
export class Lane {
  private readonly id = randomUUID()
  private counter = 0
  private last: Promise<unknown> = Promise.resolve()
  private redis: Redis | undefined
  private epoch = ''
  private closed = false
  private readonly spans: Kind

  constructor(private readonly options: AppendOptions) {
    this.spans = spansOf(options.keys, 'send', options.url)
  }

  append(templates: Template[]): Promise<Appended> {
    return this.inTurn(() => this.send(templates))
  }

  /**
   * Makes any request that a script answers twice alike when it is repeated under one counter.
   *
   * @param ask called once for each attempt
   */
  request<T>(ask: Ask<T>): Promise<T> {
    return this.inTurn(() => this.repeat(ask))
  }

  /** Resolves when the last request is answered, or has failed. */
  async idle(): Promise<void> {
    await this.last
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work)
    this.last = result.catch(() => {})
    return result
  }

  private async send(templates: Template[]): Promise<Appended> {
    const { keys, events, last = 0 } = this.options
    const sends = Sends.begin(this.spans, templates)
    const args = sends.templates.flatMap(encode)
    try {
      return await this.repeat(async (redis, { key, epoch, counter, attempt }) => {
        const asked = performance.now()
        const [first, count] = await script.run(
          redis,
          [keys.stream, keys.head, key],
          [epoch, counter, last, ...args],
        )
        sends.end(epoch, first, count, attempt)
        if (count > 0) events?.next({ type: 'appended', first, count, ms: performance.now() - asked })
        return { epoch, first, count }
      })
    } catch (error) {
      sends.fail((error as Error).name)
      throw error
    }
  }

  private async repeat<T>(ask: Ask<T>): Promise<T> {
    const { keys, events, signal } = this.options
    const started = Date.now()
    const counter = ++this.counter
    for (let attempt = 1; ; attempt++) {
      try {
        this.redis ??= await this.open()
        return await ask(this.redis, { key: keys.lane(this.id), epoch: this.epoch, counter, attempt })
      } catch (error) {
        this.disconnect()
        if (this.closed) throw new OutcomeUnknown('closed meanwhile', { cause: error })
        const renewed = error instanceof RedisError && error.code === 'EPOCH'
        if (!renewed && !isPassing(error)) throw refusal(error)
        if (signal?.aborted) throw new OutcomeUnknown((error as Error).message, { cause: error })
        if (Date.now() - started > GIVE_UP)
          throw new OutcomeUnknown((error as Error).message, { cause: error })
        const retryIn = backoff(attempt)
        events?.next({ type: 'restarting', error: error as Error, retryIn })
        await sleep(retryIn, undefined, { signal }).catch(() => {})
        if (this.closed) throw new OutcomeUnknown('closed meanwhile', { cause: error })
      }
    }
  }

  /** Lets go of the connection; a request in flight rejects with {@link OutcomeUnknown}. */
  close(): void {
    this.closed = true
    this.disconnect()
  }

  private disconnect(): void {
    this.redis?.disconnect()
    this.redis = undefined
  }

  private async open(): Promise<Redis> {
    const { url, keys, groups, deadline, events } = this.options
    const redis = await connect(url, 'conveyor-append', deadline)
    try {
      const opened = await openStream(redis, keys, groups)
      if (this.closed) throw new ConnectionLost('closed meanwhile')
      if (opened.epoch !== this.epoch) events?.next({ type: 'opened', ...opened })
      this.epoch = opened.epoch
      redis.on('close', () => {
        if (this.redis === redis) this.redis = undefined
      })
      return redis
    } catch (error) {
      redis.disconnect()
      throw error
    }
  }
}

function encode({ count, before, after, headers }: Template): (string | number)[] {
  const further = Object.entries(headers ?? {}).flat()
  return [count, before, after, further.length, ...further]
}
