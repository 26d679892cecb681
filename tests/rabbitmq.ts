import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { quietPort } from '@conveyor/chaos'
import { type Channel, type ChannelModel, connect } from 'amqplib'
import { afterAll, beforeAll } from 'vitest'
import { until } from './redis.ts'

/** Where Debian keeps the programs themselves, without what starts the system's own server. */
const PROGRAMS = '/usr/lib/rabbitmq/bin'

/** A server of the tests' own needs no rights: root leaves it to somebody who has none. */
const unprivileged =
  process.getuid?.() === 0
    ? { uid: Number(execFileSync('id', ['-u', 'nobody'])), gid: Number(execFileSync('id', ['-g', 'nobody'])) }
    : {}

/** A real broker of the tests' own, with a port mapper of its own: nothing of the system's is touched. */
export class RabbitServer {
  private child: ChildProcess | undefined
  private mapper: ChildProcess | undefined
  private said = ''

  private constructor(
    readonly port: number,
    readonly dir: string,
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  static async start(): Promise<RabbitServer> {
    if (!existsSync(join(PROGRAMS, 'rabbitmq-server')))
      throw new Error('these tests need RabbitMQ: apt-get install rabbitmq-server')
    const dir = await mkdtemp(join(tmpdir(), 'conveyor-test-rabbitmq-'))
    await chmod(dir, 0o700)
    if (unprivileged.uid !== undefined) await chown(dir, unprivileged.uid, unprivileged.gid as number)
    const [port, between, mapper] = [await quietPort(), await quietPort(), await quietPort()]
    const server = new RabbitServer(port, dir, {
      PATH: process.env.PATH,
      HOME: dir, // the cookie is there
      ERL_EPMD_PORT: String(mapper),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `conveyor${port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(between),
      RABBITMQ_MNESIA_BASE: join(dir, 'data'),
      RABBITMQ_LOG_BASE: join(dir, 'log'),
      RABBITMQ_LOGS: '-',
      RABBITMQ_PID_FILE: join(dir, 'pid'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
      RABBITMQ_CONF_ENV_FILE: join(dir, 'rabbitmq-env.conf'),
      RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq.conf'),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(dir, 'advanced.config'),
      RUNNING_UNDER_SYSTEMD: '1', // no shell between this process and the broker's
    })
    server.mapper = server.spawn('epmd', ['-port', String(mapper), '-address', '127.0.0.1'])
    await server.run()
    return server
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}`
  }

  /** Runs the broker, again after it was killed, on what it left. */
  async run(): Promise<void> {
    const child = this.spawn(join(PROGRAMS, 'rabbitmq-server'), [])
    this.child = child
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', text => {
        this.said = `${this.said}${text}`.slice(-10_000)
      })
    await until(
      async () => child.exitCode !== null || (await this.use(async () => true).catch(() => false)),
      `a broker on port ${this.port}`,
      60_000,
    ).catch(error => {
      throw new Error(`${(error as Error).message}\n${this.said}`)
    })
    if (child.exitCode !== null) throw new Error(`rabbitmq-server ended: ${this.said}`)
  }

  /** Works with a channel of the test's own. */
  async use<T>(work: (channel: Channel, connection: ChannelModel) => Promise<T>): Promise<T> {
    const connection = await connect(this.url, { timeout: 5000 })
    connection.on('error', () => {})
    try {
      const channel = await connection.createChannel()
      channel.on('error', () => {})
      return await work(channel, connection)
    } finally {
      await connection.close().catch(() => {})
    }
  }

  /** Messages that a queue holds and has not delivered. */
  async count(queue: string): Promise<number> {
    return this.use(async channel => (await channel.checkQueue(queue)).messageCount)
  }

  /** Runs `rabbitmqctl`. */
  control(...args: string[]): string {
    const options = { ...unprivileged, env: this.env, cwd: this.dir, encoding: 'utf8' } as const
    return execFileSync(join(PROGRAMS, 'rabbitmqctl'), ['--quiet', ...args], options)
  }

  /** SIGKILL, as when the power fails; what it has started ends by itself. */
  async kill(): Promise<void> {
    await end(this.child)
  }

  /** SIGSTOP and SIGCONT: connections stand, nothing is answered. */
  pause(): void {
    this.child?.kill('SIGSTOP')
  }

  resume(): void {
    this.child?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    this.resume()
    await end(this.child)
    await end(this.mapper)
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }

  private spawn(program: string, args: readonly string[]): ChildProcess {
    const child = spawn(program, args, {
      ...unprivileged,
      env: this.env,
      cwd: this.dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    child.once('exit', () => children.delete(child))
    return child
  }
}

const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

async function end(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** One broker for all tests of a file. */
export function useRabbit(): { readonly server: RabbitServer } {
  let server: RabbitServer
  beforeAll(async () => {
    server = await RabbitServer.start()
  })
  afterAll(() => server?.stop())
  return {
    get server() {
      return server
    },
  }
}
