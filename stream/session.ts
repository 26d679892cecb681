import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { audit } from './audit.ts'
import { answer, connect, DEADLINE, RedisError } from './connection.ts'
import type { Control } from './control.ts'
import { EntrySpans } from './entry-spans.ts'
import type { Events } from './events.ts'
import type { Forward } from './forward.ts'
import { Held } from './held.ts'
import { IdleTime } from './idle.ts'
import { checkName, type Keys } from './keys.ts'
import { observeLoad, type PackageDurations, packageDurations } from './measure-consumer.ts'
import { openStream } from './open.ts'
import { OutputWriter } from './output.ts'
import { Replies } from './replies.ts'
import { prepareRunFolder, type RunFolder, runFolder } from './run-folder.ts'
import { Script } from './scripts.ts'
import type { Settings } from './settings.ts'
import type { Sink } from './sink.ts'
import { VitalSigns } from './vitals.ts'

export interface SessionOptions {
  readonly url: string
  readonly keys: Keys
  readonly consumer: string
  /** All groups of the stream, `keys.group` among them. */
  readonly groups: string[]
  /** Directory of the output files; without one, no files are written. */
  readonly outputDirectory?: string
  /** Where what the handler returns is sent on to; default nowhere. */
  readonly forward?: Forward
  /** Where packages go that are done, besides the output file; default nowhere. It is not closed. */
  readonly sink?: Sink
  readonly settings: Settings
  readonly events: Events
  /** Aborted to stop reading and finish what is in hand. */
  readonly stop: AbortSignal
  /** Called when the consumer is told to drain: it aborts `stop`. */
  readonly drain?: () => void
}

/** The id belongs to another process that is alive. */
export class ConsumerIdInUse extends Error {
  constructor(
    readonly consumer: string,
    /** The process that holds it: host/pid. */
    readonly holder: string,
  ) {
    super(
      `consumer id ${consumer} is in use by the live process ${holder}: stop that one, or choose another id`,
    )
    this.name = 'ConsumerIdInUse'
  }
}

/**
 * One process' hold on a consumer id: connections, token, what is in hand. It is never repaired: who
 * loses touch with Redis throws the session away and opens another, which derives everything anew.
 */
export class Session {
  readonly held: Held
  /** Writes this consumer's own file; undefined without an output directory. */
  readonly writer: OutputWriter | undefined
  /** Length of the output that was committed, how much of it is known to be on disk, and forgotten by Redis. */
  committed: number
  flushed: number
  forgotten: number
  /** Aborted when the session is over. */
  readonly lost = new AbortController()
  /** Set when something is pending for this consumer that it does not hold. */
  recoverWanted = true
  /** What the reads are answered with. */
  readonly replies: Replies
  readonly spans: EntrySpans
  readonly durations: PackageDurations
  readonly vitals = new VitalSigns()
  readonly idle: IdleTime
  private nextFull = false
  private told: Control | undefined
  private readonly endObserving: () => void

  constructor(
    readonly options: SessionOptions,
    readonly epoch: string,
    readonly token: string,
    /** For scripts. */
    readonly redis: Redis,
    /** For blocking reads. */
    readonly reader: Redis,
    /** For output logs, whose replies are large. */
    readonly logs: Redis,
    readonly run: RunFolder | undefined,
    length: number,
    /** The next stream's epoch. */
    readonly next: string | undefined,
    /** Seconds that earlier sessions of this process had nothing to do. */
    idle: number,
  ) {
    const { maxHeld, maxHeldBytes, maxUnflushed } = options.settings
    this.committed = this.flushed = this.forgotten = length
    const blocked = () => {
      if (this.unflushed > maxUnflushed) return 'disk'
      if (this.nextFull) return 'next'
      return this.told === 'paused' ? 'paused' : undefined
    }
    this.idle = new IdleTime(idle)
    this.held = new Held(maxHeld, maxHeldBytes, blocked, this.idle)
    this.replies = new Replies(reader)
    this.spans = new EntrySpans(options.keys, options.consumer, options.url)
    this.durations = packageDurations(options.keys)
    const ends = [observeLoad(options, () => this.held.load)]
    const watching = options.forward?.full.subscribe(full => {
      this.nextFull = full
      this.held.changed()
    })
    ends.push(() => watching?.unsubscribe())
    this.endObserving = () => {
      for (const end of ends) end()
    }
    this.writer = run && new OutputWriter(logs, options.keys, run, options.consumer)
    const stop = () => {
      this.idle.end()
      this.held.changed()
    }
    options.stop.addEventListener('abort', stop, { signal: this.lost.signal })
  }

  /** Bytes that are committed and may not be on disk yet. */
  get unflushed(): number {
    return this.writer ? this.committed - this.flushed : 0
  }

  get stopping(): boolean {
    return this.options.stop.aborted
  }

  /** Has entries read again that are pending for this consumer and not in its hands. */
  recover(): void {
    this.recoverWanted = true
    this.held.changed()
  }

  /** Does what people want: see `control`. */
  tell(told: Control | undefined): void {
    if (told === this.told) return
    this.told = told
    const { events, consumer } = this.options
    events.next({ type: 'controlled', consumer, control: told })
    this.held.changed()
    if (told === 'draining') this.options.drain?.()
  }

  /** Gives the id back: peers may take over at once what is left. */
  async close(): Promise<void> {
    const { keys, consumer, events } = this.options
    await close.run(this.redis, [keys.sessions, keys.control], [consumer, this.token])
    await tidy(this.redis, keys, consumer)
    events.next({ type: 'sessionClosed', consumer })
  }

  /** Lets go of connections and files, without a word to Redis. */
  dispose(): void {
    this.lost.abort()
    this.idle.end()
    this.endObserving()
    for (const redis of [this.redis, this.reader, this.logs]) redis.disconnect()
    void this.writer?.close()
  }
}

const session = new Script<[opened: number, lengthOrToken: number | string, beat?: string]>('session')
const close = new Script<number>('close')
const tidyScript = new Script<number>('tidy')

/** Removes an ended consumer of which nothing is left to do. Returns whether it did. */
export async function tidy(redis: Redis, keys: Keys, consumer: string): Promise<boolean> {
  const names = [keys.stream, keys.sessions, keys.beats, keys.output(consumer), keys.vitals]
  return (await tidyScript.run(redis, names, [keys.group, consumer])) === 1
}

/**
 * Opens a session under the consumer's id. An id whose holder is silent is taken over; that takes
 * `deathBeats` looks, `beatInterval` apart.
 *
 * @param previous token of this process' own earlier session, which may be replaced at once
 * @param signal calls the opening off, and lets go of what was opened by then
 * @param idle seconds that earlier sessions of this process had nothing to do
 * @throws {ConsumerIdInUse} the id belongs to a live process
 * @throws {StreamUnusable} a recorded group or the stream is missing
 * @throws `InvalidName`, `OutputRefused`, `ConnectionLost`, `RedisError`, or a system error of the output directory
 */
export async function openSession(
  options: SessionOptions,
  previous?: string,
  signal?: AbortSignal,
  idle = 0,
): Promise<Session> {
  const { url, keys, settings, events } = options
  const consumer = checkName('consumer id', options.consumer)
  const token = `${randomBytes(8).toString('hex')} ${hostname()}/${process.pid}`
  const deadline = settings.deadline || DEADLINE
  const connections: Redis[] = []
  signal?.addEventListener('abort', () => {
    for (const redis of connections) redis.disconnect()
  })
  let failed = false
  let result: Session | undefined
  const connection = async (role: string, limit = deadline) => {
    const redis = await connect(url, `conveyor-${consumer}-${role}`, limit)
    connections.push(redis)
    if (failed) redis.disconnect()
    signal?.throwIfAborted()
    return redis
  }
  try {
    const redis = await connection('commit')
    const { epoch, ...opened } = await openStream(redis, keys, options.groups)
    events.next({ type: 'opened', epoch, ...opened })
    const { forward } = options
    const next = forward && (await openStream(redis, forward.keys, forward.groups)).epoch
    const run = options.outputDirectory ? runFolder(options.outputDirectory, epoch) : undefined
    if (run) await prepareRunFolder(run, keys)
    const length = await hold(redis, options, epoch, token, previous, run)
    const [reader, logs] = await Promise.all([connection('read', 0), connection('output')])
    result = new Session(options, epoch, token, redis, reader, logs, run, length, next, idle)
    await result.writer?.create(length)
    signal?.throwIfAborted()
    events.next({ type: 'sessionOpened', consumer, epoch, output: length })
    return result
  } catch (error) {
    failed = true
    result?.dispose()
    for (const redis of connections) redis.disconnect()
    throw error
  }
}

/** Puts the token in place, over a silent holder if need be. Returns the length of the output. */
async function hold(
  redis: Redis,
  options: SessionOptions,
  epoch: string,
  token: string,
  previous: string | undefined,
  run: RunFolder | undefined,
): Promise<number> {
  const { keys, consumer, events } = options
  const names = [keys.head, keys.sessions, keys.beats, keys.files, keys.output(consumer)]
  let replace = previous ?? ''
  let observed = ''
  for (;;) {
    try {
      const args = [epoch, consumer, token, replace, observed, run ? 1 : 0]
      const [opened, lengthOrHolder, beat] = await session.run(redis, names, args)
      if (opened) return lengthOrHolder as number
      replace = lengthOrHolder as string
      observed = beat ?? '0'
      if (!(await silent(redis, options, replace, observed))) {
        throw new ConsumerIdInUse(consumer, replace.split(' ')[1] ?? replace)
      }
    } catch (error) {
      if (!run || !(error instanceof RedisError) || error.code !== 'AUDIT') throw error
      await audit(redis, keys, run, error.message.split(' ')[1] ?? '', events)
    }
  }
}

/**
 * Whether a holder's beat stands still. Silence is counted in looks that Redis answered: a stalled server
 * proves nothing about the holder. True also when the session is another one by now: ask again.
 */
async function silent(redis: Redis, options: SessionOptions, holder: string, beat: string): Promise<boolean> {
  const { keys, consumer, settings } = options
  for (let look = 0; look < settings.deathBeats; look++) {
    await sleep(settings.beatInterval)
    const [token, now] = await answer(
      Promise.all([redis.hget(keys.sessions, consumer), redis.hget(keys.beats, consumer)]),
    )
    if (token !== holder) return true
    if (now !== beat) return false
  }
  return true
}
