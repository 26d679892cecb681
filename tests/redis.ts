import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { lastValueFrom, of, Subject } from 'rxjs'
import { afterAll, beforeAll, inject, onTestFinished } from 'vitest'
import { append } from '../stream/append.ts'
import { commit, type Settled } from '../stream/commit.ts'
import type { Events, StreamEvent } from '../stream/events.ts'
import { type Keys, keysOf } from '../stream/keys.ts'
import type { Outcome } from '../stream/outcome.ts'
import { openSession, type Session, type SessionOptions } from '../stream/session.ts'
import { DEFAULTS, type Settings } from '../stream/settings.ts'

/** A real server that keeps what it was told: append-only file, synced before each reply. */
export class RedisServer {
  private child: ChildProcess | undefined

  private constructor(
    readonly port: number,
    readonly dir: string,
    private readonly args: readonly string[],
  ) {}

  /** Starts a server on a free port, by default in a new folder. Give a later one the first one's `port` and `dir`. */
  static async start(args: readonly string[] = [], at: { port?: number; dir?: string } = {}) {
    const dir = at.dir ?? (await mkdtemp(join(tmpdir(), 'conveyor-test-redis-')))
    const server = new RedisServer(at.port ?? (await freePort()), dir, args)
    await server.run()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Runs the server, again after it was killed, on what it left. */
  async run(): Promise<void> {
    const log = join(this.dir, 'redis.log')
    const output = openSync(log, 'a')
    const settings = ['--port', String(this.port), '--dir', this.dir, '--save', '', '--appendonly', 'yes']
    const child = spawn(inject('redisServer'), [...settings, '--appendfsync', 'always', ...this.args], {
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    this.child = child
    children.add(child)
    child.once('exit', () => children.delete(child))
    const probe = this.client()
    try {
      await until(
        () => child.exitCode !== null || probe.ping().catch(() => false),
        `a server on port ${this.port}`,
      )
    } finally {
      probe.disconnect()
    }
    if (child.exitCode !== null) throw new Error(`redis-server ended: ${await readFile(log, 'utf8')}`)
  }

  /** A connection for the test itself, which reconnects after the server was away. */
  client(): Redis {
    const redis = new Redis(this.url, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    redis.on('error', () => {})
    return redis
  }

  /** SIGSTOP and SIGCONT: connections stand, nothing is answered. */
  pause(): void {
    this.child?.kill('SIGSTOP')
  }

  resume(): void {
    this.child?.kill('SIGCONT')
  }

  /** Ends the server without a chance to tidy up. */
  async kill(): Promise<void> {
    const child = this.child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** One server for all tests of a file. */
export function useRedis(...args: string[]): { readonly server: RedisServer; readonly redis: Redis } {
  let server: RedisServer
  let redis: Redis
  beforeAll(async () => {
    server = await RedisServer.start(args)
    redis = server.client()
  })
  afterAll(async () => {
    redis?.disconnect()
    await server?.stop()
  })
  return {
    get server() {
      return server
    },
    get redis() {
      return redis
    },
  }
}

/** A server of this test's own, because the test stalls, kills or empties it. */
export async function ownRedis(...args: string[]): Promise<{ server: RedisServer; redis: Redis }> {
  const server = await RedisServer.start(args)
  const redis = server.client()
  onTestFinished(async () => {
    redis.disconnect()
    server.resume()
    await server.stop()
  })
  return { server, redis }
}

/** Waits until `condition` gives something true, and returns it; throws, naming `what`, after `ms`. */
export async function until<T>(condition: () => T | Promise<T>, what: string, ms = 15_000): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await sleep(5)
  }
}

/** A folder that is removed when the test has passed. */
export async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'conveyor-test-'))
  onTestFinished(({ task }) =>
    task.result?.state === 'fail' ? undefined : rm(dir, { recursive: true, force: true, maxRetries: 5 }),
  )
  return dir
}

let streams = 0

/** A stream name that no other test uses. */
export function newName(): string {
  return `s${process.pid}_${++streams}`
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** Fast enough to wait for: a peer is dead after 5 beats of 20 ms. */
export const QUICK: Settings = { ...DEFAULTS, beatInterval: 20, block: 50, deadline: 3000 }

/** A stream of a test's own, with what a test does to it by hand. */
export class Bench {
  readonly keys: Keys
  readonly events: Events = new Subject<StreamEvent>()
  readonly seen: StreamEvent[] = []
  readonly stop = new AbortController()
  readonly groups: string[]

  constructor(
    readonly url: string,
    readonly redis: Redis,
    readonly directory: string,
    groups: string[] = ['workers'],
    name = newName(),
  ) {
    this.groups = groups
    this.keys = keysOf(name, groups[0] as string)
    this.events.subscribe(event => this.seen.push(event))
  }

  options(consumer: string, settings: Partial<Settings> = {}): SessionOptions {
    const { url, keys, groups, events, directory } = this
    return {
      url,
      keys,
      groups,
      events,
      consumer,
      outputDirectory: directory,
      settings: { ...QUICK, ...settings },
      stop: this.stop.signal,
    }
  }

  /** Opens a session, which the test's end disposes of. */
  async open(consumer: string, settings: Partial<Settings> = {}, previous?: string): Promise<Session> {
    const session = await openSession(this.options(consumer, settings), previous)
    onTestFinished(() => session.dispose())
    return session
  }

  /** Appends packages; returns the ids of their entries. */
  async fill(count: number, payload = ''): Promise<string[]> {
    const template = {
      count,
      before: '{"timestamp_producer":1753553379,"payload":{"package":',
      after: payload ? `,"text":"${payload}"}}` : '}}',
    }
    const { url, keys, groups } = this
    await lastValueFrom(of([template]).pipe(append({ url, keys, groups })))
    const entries = await this.redis.xrevrange(keys.stream, '+', '-', 'COUNT', count)
    return entries.map(([id]) => id).reverse()
  }

  /** Reads new entries for a consumer, as its own reader would; returns their ids. */
  async receive(consumer: string, count: number): Promise<string[]> {
    const { stream, group } = this.keys
    const reply = await this.redis.xreadgroup(
      'GROUP',
      group,
      consumer,
      'COUNT',
      count,
      'STREAMS',
      stream,
      '>',
    )
    return ((reply as [string, [string][]][] | null)?.[0]?.[1] ?? []).map(([id]) => id)
  }

  /** Pending entries of a consumer, or of all: (id, owner, deliveries). */
  async pending(consumer?: string): Promise<[id: string, owner: string, deliveries: number][]> {
    const { stream, group } = this.keys
    const rows = (await (consumer === undefined
      ? this.redis.xpending(stream, group, '-', '+', 100_000)
      : this.redis.xpending(stream, group, '-', '+', 100_000, consumer))) as [
      string,
      string,
      number,
      number,
    ][]
    return rows.map(([id, owner, , deliveries]) => [id, owner, deliveries])
  }

  async dead(): Promise<Record<string, string>[]> {
    const entries = await this.redis.xrange(this.keys.dead, '-', '+')
    return entries.map(([, fields]) => {
      const record: Record<string, string> = {}
      for (let i = 0; i < fields.length; i += 2) record[fields[i] as string] = fields[i + 1] as string
      return record
    })
  }

  count(name: string): Promise<number> {
    return this.redis.hget(this.keys.counts, name).then(Number)
  }

  /** The output file, by the name that people use. */
  file(consumer: string): Promise<string> {
    return readFile(join(this.directory, `consumer_${consumer}.txt`), 'utf8')
  }

  of<T extends StreamEvent['type']>(type: T): Extract<StreamEvent, { type: T }>[] {
    return this.seen.filter(event => event.type === type) as Extract<StreamEvent, { type: T }>[]
  }
}

/** Outcomes of entries that are done, each with its line. */
export function done(entries: readonly string[], line = (entry: string) => `line of ${entry}`): Outcome[] {
  return entries.map(entry => ({ entry, kind: 'done', line: line(entry) }))
}

/** Settles outcomes as one commit. */
export function settle(session: Session, outcomes: Outcome[]): Promise<Settled> {
  return lastValueFrom(of(outcomes).pipe(commit(session)))
}

/** A new stream on a server, with a new directory for its output. */
export async function bench(
  on: { readonly server: RedisServer; readonly redis: Redis },
  groups?: string[],
): Promise<Bench> {
  return new Bench(on.server.url, on.redis, await tempDir(), groups)
}
