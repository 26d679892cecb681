import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { type AppendOptions, OutcomeUnknown, type Template } from './append.ts'
import { backoff } from './backoff.ts'
import { answer, ConnectionLost, connect, isPassing, RedisError } from './connection.ts'
import { checkName, type Keys } from './keys.ts'
import { packages } from './message.ts'
import { openStream, refusal } from './open.ts'
import { Script } from './scripts.ts'
import { Sends } from './send-spans.ts'
import { spansOf } from './tracing.ts'

/** A row of a source, to become a message with the payload `{"package": <n>, "body": <body>}`. */
export interface SourceRow {
  /** Where it stands among the others: decimal digits, growing from row to row. */
  readonly id: string
  /** JSON text. */
  readonly body: string
}

/** How far a source has come in a life of the stream. */
export interface SourcePosition {
  readonly epoch: string
  /** Id of the last row that was appended; `0` before the first. */
  readonly last: string
}

export interface SourceAppended extends SourcePosition {
  /** Rows that this call appended: all, or 0 when they do not follow the position, as after a reply that was lost. */
  readonly count: number
  /** Package number of the first of them; of none, the next that will be given out. */
  readonly first: number
}

export interface SourceOptions extends Omit<AppendOptions, 'last'> {
  /** Its name: 1 to 64 of `A-Z a-z 0-9 _ -`. */
  readonly source: string
}

/** Rows, and characters of their bodies, in one call, so that Redis is never busy with one for long. */
export const SOURCE_CALL = { rows: 500, size: 256 * 1024 } as const

/** Where every source begins. */
export const SOURCE_START = '0'

const script = new Script<[first: number, count: number, position: string]>('source')

/**
 * Appends rows of one source in their order, each once, whatever happens to replies and however many processes do the
 * same: the position moves in the step that appends, and only from where the rows begin. Positions live as long as the
 * epoch. When a connection breaks, another is opened and the call is made again, until `signal` is aborted.
 *
 * Rejects with `StreamUnusable`, `RedisError` for what does not pass by itself, and {@link OutcomeUnknown} once it was
 * closed or aborted.
 */
export class SourceCursor {
  private redis: Redis | undefined
  private opening: Promise<Redis> | undefined
  private epoch = ''
  private closed = false

  /** Throws `InvalidName`. */
  constructor(private readonly options: SourceOptions) {
    checkName('source', options.source)
  }

  /** How far the source has come, in the present life of the stream. */
  async position(): Promise<SourcePosition> {
    return this.repeat(redis => this.call(redis, this.epoch, ['', SOURCE_START, '']))
  }

  /**
   * Appends rows that follow a position. When there is another one by now, or another life of the stream, nothing is
   * appended: `count` is 0, and the answer says where to go on. That may be behind these very rows, when a reply was
   * lost.
   *
   * @param rows 1 to `SOURCE_CALL.rows`; of more than `SOURCE_CALL.size` only a single one
   */
  async append(rows: readonly SourceRow[], after: SourcePosition): Promise<SourceAppended> {
    const reached = reachedBy(rows, after)
    const { keys, url, events } = this.options
    const { before } = packages(1)
    const templates = rows.map(({ body }): Template => ({ count: 1, before, after: `,"body":${body}}}` }))
    const sends = Sends.begin(spansOf(keys, 'send', url), templates)
    const args = [after.last, reached, before, ...sends.templates.flatMap(encode)]
    try {
      return await this.repeat(async (redis, attempt) => {
        // What follows a position of an earlier life has no place in this one.
        if (this.epoch !== after.epoch) return this.call(redis, this.epoch, ['', SOURCE_START, ''])
        const asked = performance.now()
        const answer = await this.call(redis, after.epoch, args)
        const { epoch, first, count } = answer
        sends.end(epoch, first, count, attempt)
        if (count > 0) events?.next({ type: 'appended', first, count, ms: performance.now() - asked })
        return answer
      })
    } catch (error) {
      sends.fail((error as Error).name)
      throw error
    }
  }

  /** Lets go of the connection; a call in flight rejects. */
  close(): void {
    this.closed = true
    this.disconnect()
  }

  private async call(redis: Redis, epoch: string, args: (string | number)[]): Promise<SourceAppended> {
    const { keys, source } = this.options
    const [first, count, last] = await script.run(
      redis,
      [keys.stream, keys.head, keys.sources],
      [epoch, source, ...args],
    )
    return { epoch, first, count, last }
  }

  private async repeat<T>(ask: (redis: Redis, attempt: number) => Promise<T>): Promise<T> {
    const { events, signal } = this.options
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask(await this.connection(), attempt)
      } catch (error) {
        this.disconnect()
        const renewed = error instanceof RedisError && error.code === 'EPOCH'
        if (!renewed && !isPassing(error)) throw refusal(error)
        this.throwIfOver(error)
        const retryIn = backoff(attempt)
        events?.next({ type: 'restarting', error: error as Error, retryIn })
        await sleep(retryIn, undefined, { signal }).catch(() => {})
        this.throwIfOver(error)
      }
    }
  }

  private throwIfOver(cause: unknown): void {
    if (this.closed) throw new OutcomeUnknown('closed meanwhile', { cause })
    if (this.options.signal?.aborted) throw new OutcomeUnknown((cause as Error).message, { cause })
  }

  private async connection(): Promise<Redis> {
    if (this.closed) throw new ConnectionLost('closed meanwhile')
    if (this.redis) return this.redis
    this.opening ??= this.open().finally(() => {
      this.opening = undefined
    })
    return this.opening
  }

  private async open(): Promise<Redis> {
    const { url, keys, groups, deadline, events } = this.options
    const redis = await connect(url, 'conveyor-source', deadline)
    try {
      const opened = await openStream(redis, keys, groups)
      if (this.closed) throw new ConnectionLost('closed meanwhile')
      if (opened.epoch !== this.epoch) events?.next({ type: 'opened', ...opened })
      this.epoch = opened.epoch
      redis.on('close', () => {
        if (this.redis === redis) this.redis = undefined
      })
      this.redis = redis
      return redis
    } catch (error) {
      redis.disconnect()
      throw error
    }
  }

  private disconnect(): void {
    this.redis?.disconnect()
    this.redis = undefined
  }
}

/**
 * Where the sources of a stream are, by their names, as one look finds them; those that have appended nothing yet are
 * missing. `epoch` is undefined when the stream has never been opened.
 */
export async function sourcePositions(
  redis: Redis,
  keys: Pick<Keys, 'head' | 'sources'>,
): Promise<{ epoch: string | undefined; positions: Readonly<Record<string, string>> }> {
  const replies = await answer(redis.multi().hget(keys.head, 'epoch').hgetall(keys.sources).exec())
  const [[failed, epoch] = [], [, positions] = []] = replies ?? []
  if (failed) throw new RedisError(failed.message)
  return { epoch: (epoch as string | null) ?? undefined, positions: positions as Record<string, string> }
}

/** The last row's id. Throws for rows that must not be appended together, before anything is sent. */
function reachedBy(rows: readonly SourceRow[], { last }: SourcePosition): string {
  const size = rows.reduce((sum, { body }) => sum + body.length, 0)
  if (rows.length === 0 || rows.length > SOURCE_CALL.rows || (rows.length > 1 && size > SOURCE_CALL.size))
    throw new RangeError(`${rows.length} rows of ${size} characters are not one call`)
  let reached = BigInt(last)
  for (const { id } of rows) {
    if (!/^\d+$/.test(id) || BigInt(id) <= reached)
      throw new RangeError(`row ${id} does not follow ${reached}`)
    reached = BigInt(id)
  }
  return String(reached)
}

function encode({ after, headers }: Template): (string | number)[] {
  const further = Object.entries(headers ?? {}).flat()
  return [after, further.length, ...further]
}
