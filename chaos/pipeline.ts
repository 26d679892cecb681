import { deepStrictEqual, strictEqual } from 'node:assert'
import { cp, mkdir, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRedisServer, type RedisProcess, type StartOptions, startRedis } from '@conveyor/redis'
import { type DeadLetter, deadLetters, flush, inspect, keysOf, type StreamState } from '@conveyor/stream'
import { validate } from '@conveyor/validator'
import { Redis } from 'ioredis'
import { faultsOf, readOutput } from './output-lines.ts'
import { program, type ServiceName } from './root.ts'
import { ServiceProcess, until } from './service-process.ts'

/** Ms that anything may take on a machine that is busy with other things. */
const PATIENCE = 90_000

/** A Redis of its own, producers and consumers as processes, and a folder that holds all that they keep. */
export class Pipeline {
  readonly keys = keysOf('number_stream', 'consumer_group')
  readonly services: ServiceProcess[] = []
  /** The test's own connection; it comes back by itself. */
  readonly client: Redis
  readonly outputDir: string
  readonly dataDir: string
  /** Set when everything is being ended. */
  closed = false

  private constructor(
    readonly dir: string,
    public redis: RedisProcess,
    private readonly env: NodeJS.ProcessEnv,
    private readonly server: ServerOptions,
  ) {
    this.outputDir = join(dir, 'output')
    this.dataDir = join(dir, 'redis')
    this.client = new Redis(redis.url, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    this.client.on('error', () => {})
  }

  /** @param env variables for all services */
  static async start(env: NodeJS.ProcessEnv = {}): Promise<Pipeline> {
    return Pipeline.startIn(await mkdtemp(join(tmpdir(), 'conveyor-faults-')), env)
  }

  /** As `start`, in a folder that is there: its `redis` and `output` may be disks of their own. */
  static async startIn(dir: string, env: NodeJS.ProcessEnv, server: ServerOptions = {}): Promise<Pipeline> {
    await mkdir(join(dir, 'redis'), { recursive: true })
    const redis = await serve(join(dir, 'redis'), await quietPort(), server)
    return new Pipeline(dir, redis, env, server)
  }

  consumer(id: string, env: NodeJS.ProcessEnv = {}): ServiceProcess {
    return this.run('consumer', id, { CONSUMER_ID: id, OUTPUT_DIR: this.outputDir, HEALTH_PORT: '0', ...env })
  }

  consumers(ids: readonly string[], env: NodeJS.ProcessEnv = {}): ServiceProcess[] {
    return ids.map(id => this.consumer(id, env))
  }

  /** @param packages last number to give out; 0 for no end */
  producer(packages: number, env: NodeJS.ProcessEnv = {}): ServiceProcess {
    return this.run('producer', 'producer', { PACKAGES: String(packages), RATE: 'max', PORT: '0', ...env })
  }

  /** What takes messages from RabbitMQ; `AMQP_URL` and `AMQP_QUEUE` say where. */
  bridge(name: string, env: NodeJS.ProcessEnv = {}): ServiceProcess {
    return this.run('rabbitmq', name, { HEALTH_PORT: '0', ...env })
  }

  /** Source tables; `DATABASE_URL` says where. */
  source(name: string, env: NodeJS.ProcessEnv = {}): ServiceProcess {
    return this.run('source', name, { PORT: '0', ...env })
  }

  private run(service: ServiceName, name: string, env: NodeJS.ProcessEnv): ServiceProcess {
    if (this.closed) throw new Error('the pipeline has been closed')
    const script = program(service)
    const started = new ServiceProcess(name, script, [], {
      env: { ...process.env, REDIS_URL: this.redis.url, ...this.env, ...env },
      cwd: this.dir,
    })
    this.services.push(started)
    return started
  }

  /** The state of the stream; undefined while Redis does not answer. */
  look(): Promise<StreamState | undefined> {
    return inspect(this.client, this.keys).catch(() => undefined)
  }

  async inspect(): Promise<StreamState> {
    return this.when(() => true, 'Redis answers')
  }

  /** Waits for a state of the stream. */
  when(condition: (state: StreamState) => boolean, what: string, ms = PATIENCE): Promise<StreamState> {
    let last: StreamState | undefined
    const look = async () => {
      last = await this.look()
      return last && condition(last) ? last : undefined
    }
    return until(look, what, ms, () => this.explain(last))
  }

  /** Waits until at least `packages` have been committed. */
  committed(packages: number): Promise<StreamState> {
    return this.when(({ done, dead }) => done + dead >= packages, `${packages} packages are committed`)
  }

  /** Waits until packages 1 to `last` are given out, settled and on disk. */
  drained(last: number, ms = PATIENCE): Promise<StreamState> {
    return this.when(
      ({ sequence, drained }) => drained && sequence >= last,
      `drained, up to package ${last}`,
      ms,
    )
  }

  /** Kills Redis and starts it again on what it left, on the same port. */
  crashRedis(meanwhile?: () => Promise<void>): Promise<void> {
    return this.restartRedis('SIGKILL', meanwhile)
  }

  /** The same by another signal; SIGTERM is a SHUTDOWN. */
  async restartRedis(signal: NodeJS.Signals, meanwhile = async () => {}): Promise<void> {
    this.redis.kill(signal)
    await this.redis.exited
    await meanwhile()
    this.redis = await serve(this.dataDir, this.redis.port, this.server)
  }

  /** Keeps a copy of what Redis has on disk; {@link rollBackRedis} puts it in place. */
  async copyRedisData(): Promise<string> {
    const copy = join(this.dir, `redis-copy-${Date.now()}`)
    await cp(join(this.dataDir, 'appendonlydir'), copy, { recursive: true })
    return copy
  }

  /** Crashes Redis and has it come back as it was when the copy was made. */
  rollBackRedis(copy: string): Promise<void> {
    return this.crashRedis(async () => {
      await rm(join(this.dataDir, 'appendonlydir'), { recursive: true })
      await cp(copy, join(this.dataDir, 'appendonlydir'), { recursive: true })
    })
  }

  /** SIGSTOP: connections stand, nothing is answered. */
  pauseRedis(): void {
    this.redis.kill('SIGSTOP')
  }

  resumeRedis(): void {
    this.redis.kill('SIGCONT')
  }

  /** Folder of the current run's files. */
  async runFolder(): Promise<string> {
    return join(this.outputDir, 'runs', (await this.inspect()).epoch ?? '')
  }

  /** Asks services to finish; those that are alive must do so with exit code 0. */
  async stop(services: readonly ServiceProcess[] = this.services): Promise<void> {
    const alive = services.filter(one => one.alive)
    // A signal that comes before a process can take it ends it without more ado.
    for (const one of alive) await until(() => !one.alive || one.started, `${one.name} is started`, PATIENCE)
    const exits = await Promise.all(alive.map(one => one.stop(PATIENCE)))
    for (const [index, exit] of exits.entries())
      deepStrictEqual(exit, { code: 0, signal: null }, (alive[index] as ServiceProcess).lastWords())
  }

  /** Ends the producers. Returns the last number that was given out. */
  async endProducing(): Promise<number> {
    await this.stop(this.services.filter(({ name }) => name === 'producer'))
    return (await this.inspect()).sequence
  }

  /**
   * Waits until all is drained, stops all services, and throws unless each of the packages 1 to `last`
   * stands in exactly one line of exactly one file, or is one of `dead` and in none.
   */
  async expectExactlyOnce(last: number, dead: readonly number[] = []): Promise<StreamState> {
    await this.drained(last)
    await this.stop()
    return this.expectFiles(last, dead)
  }

  /** The same for what is there, after all services have ended. */
  async expectFiles(last: number, dead: readonly number[] = []): Promise<StreamState> {
    const state = await this.inspect()
    strictEqual(state.sequence, last)
    strictEqual(state.pending, 0)
    deepStrictEqual(await this.unwritten(), [])
    deepStrictEqual(faultsOf(await readOutput(await this.runFolder()), last, dead), [])
    const report = await validate({ outputDir: this.outputDir, expect: last })
    deepStrictEqual({ ...report.totals, missing: report.totals.missing - dead.length }, clean(report.totals))
    strictEqual(report.totals.unique, last - dead.length)
    if (dead.length === 0) strictEqual(report.verdict, 'ok')
    await this.expectLinks()
    return state
  }

  /** Ids of the entries that are pending for a consumer, or for all. */
  async pending(consumer?: string): Promise<string[]> {
    const range = [this.keys.stream, this.keys.group, '-', '+', 1_000_000] as const
    const rows = await (consumer === undefined
      ? this.client.xpending(...range)
      : this.client.xpending(...range, consumer))
    return (rows as [id: string][]).map(([id]) => id)
  }

  /** All dead letters, oldest first. */
  async deadLetters(): Promise<DeadLetter[]> {
    const found: DeadLetter[] = []
    for await (const letter of deadLetters(this.client, this.keys)) found.push(letter)
    return found
  }

  /** Writes what ended consumers left in their logs. */
  async flush(): Promise<void> {
    const { damaged } = await flush(this.client, this.keys, this.outputDir)
    deepStrictEqual(damaged, [])
  }

  /** Output logs that hold something, by a look of its own. */
  async unwritten(): Promise<string[]> {
    const found: string[] = []
    for (const key of await this.client.keys(this.keys.output('*')))
      if ((await this.client.xlen(key)) > 0) found.push(key)
    return found
  }

  private async expectLinks(): Promise<void> {
    const { epoch } = await this.inspect()
    const names = (await readdir(await this.runFolder())).filter(name => name.startsWith('consumer_'))
    for (const name of names) strictEqual(await readlink(join(this.outputDir, name)), `runs/${epoch}/${name}`)
    const links = (await readdir(this.outputDir)).filter(name => name.startsWith('consumer_'))
    deepStrictEqual(links.sort(), names.sort())
  }

  /** For people: what the services said last. */
  explain(state?: StreamState): string {
    return [JSON.stringify(state), ...this.services.map(one => one.lastWords())].join('\n')
  }

  /**
   * Ends everything. Returns the names of services that were still there, which a test should have ended,
   * and what is left over although nothing should be.
   */
  async close({ keepFiles = false } = {}): Promise<string[]> {
    this.closed = true
    const left = this.services.filter(one => one.alive)
    await Promise.all(left.map(one => one.kill()))
    this.client.disconnect()
    this.redis.kill('SIGCONT')
    await this.redis.stop()
    const orphans = await processesIn(this.dir)
    if (!keepFiles) await rm(this.dir, { recursive: true, force: true, maxRetries: 10 })
    return [...left.map(one => `${one.name} (${one.pid})`), ...orphans]
  }
}

/** How many packages a producer has given out, as it counts them itself. */
export async function produced(producer: ServiceProcess): Promise<number> {
  const { url } = await producer.logged('producer started')
  const status = (await (await fetch(`${url}/status`)).json()) as { produced: number }
  return status.produced
}

/** Processes whose working directory is `dir` or inside it. */
export async function processesIn(dir: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '')
    if (cwd !== dir && !cwd.startsWith(`${dir}/`)) continue
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (command !== '') found.push(`${pid} ${command.replaceAll('\0', ' ').slice(0, 200)}`)
  }
  return found
}

function clean<T extends { duplicates: number; repeats: number }>(totals: T): T {
  const zero = { duplicates: 0, repeats: 0, missing: 0, unexpected: 0, unreadable: 0, torn: 0, untracked: 0 }
  return { ...totals, ...zero }
}

/** Which server a pipeline starts; default: the one that is found, with `appendfsync always`. */
export type ServerOptions = Partial<Pick<StartOptions, 'path' | 'appendfsync'>>

async function serve(dir: string, port: number, server: ServerOptions): Promise<RedisProcess> {
  const path = server.path ?? (await findRedisServer({ interactive: false })).path
  return startRedis({ appendfsync: 'always', ...server, path, dir, port })
}

/**
 * A free port outside the range that the system gives to clients: while a server that was killed is away,
 * no connection of anybody may take its port.
 */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    const free = await new Promise<boolean>(resolve => {
      const server = createServer().once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}
