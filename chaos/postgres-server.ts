import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { until } from './service-process.ts'

/** Where Debian keeps the servers that are installed, the newest last. */
const DEBIAN = '/usr/lib/postgresql'

/** There is no server that could be started. */
export class PostgresMissing extends Error {
  constructor() {
    super('PostgreSQL is not installed: apt-get install postgresql')
    this.name = 'PostgresMissing'
  }
}

/** Folder of PostgreSQL's programs. */
function programs(): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(a) - Number(b)) : []
  const folder = join(DEBIAN, versions.at(-1) ?? '-', 'bin')
  if (existsSync(join(folder, 'postgres'))) return folder
  throw new PostgresMissing()
}

/** PostgreSQL refuses to run as root: then another user runs it. */
const unprivileged =
  process.getuid?.() === 0
    ? { uid: Number(execFileSync('id', ['-u', 'nobody'])), gid: Number(execFileSync('id', ['-g', 'nobody'])) }
    : {}

/** A real server, with a folder of its own. */
export class PostgresServer {
  private child: ChildProcess | undefined

  private constructor(
    readonly port: number,
    readonly dir: string,
    private readonly settings: readonly string[],
  ) {}

  /** @param settings such as `max_prepared_transactions=5` */
  static async start(...settings: string[]): Promise<PostgresServer> {
    const dir = await mkdtemp(join(tmpdir(), 'conveyor-test-postgres-'))
    await chmod(dir, 0o700)
    if (unprivileged.uid !== undefined) await chown(dir, unprivileged.uid, unprivileged.gid as number)
    const initdb = ['-D', join(dir, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync']
    execFileSync(join(programs(), 'initdb'), initdb, { ...unprivileged, cwd: dir, stdio: 'pipe' })
    const server = new PostgresServer(await freePort(), dir, settings)
    await server.run()
    return server
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`
  }

  /** Runs the server, again after it was killed, on what it left. */
  async run(): Promise<void> {
    const set = [
      'listen_addresses=127.0.0.1',
      `unix_socket_directories=${this.dir}`,
      'logging_collector=off',
      ...this.settings,
    ]
    const args = ['-D', join(this.dir, 'data'), '-p', String(this.port), ...set.flatMap(one => ['-c', one])]
    const child = spawn(join(programs(), 'postgres'), args, { ...unprivileged, cwd: this.dir, stdio: 'pipe' })
    let said = ''
    child.stderr.on('data', text => {
      said += text
    })
    this.child = child
    children.add(child)
    child.once('exit', () => children.delete(child))
    await until(
      async () =>
        child.exitCode !== null ||
        (await this.query('SELECT 1').then(
          () => true,
          () => false,
        )),
      `a server on port ${this.port}`,
      PATIENCE,
    )
    if (child.exitCode !== null) throw new Error(`postgres ended: ${said}`)
  }

  /** Runs one statement on a connection of its own; returns its rows. */
  async query<T extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
  ): Promise<T[]> {
    const client = new pg.Client({ connectionString: this.url })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query<T>(text, values)).rows
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** SIGSTOP and SIGCONT for all its processes: connections stand, nothing is answered. */
  pause(): void {
    this.signal('SIGSTOP')
  }

  resume(): void {
    this.signal('SIGCONT')
  }

  private signal(signal: NodeJS.Signals): void {
    const pid = this.child?.pid as number
    for (const one of [pid, ...childrenOf(pid)]) send(one, signal)
  }

  /** SIGKILL for the server and all that it has started, as when the power fails: their locks and memory are gone. */
  async kill(): Promise<void> {
    const { child } = this
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    const started = childrenOf(child.pid as number)
    child.kill('SIGKILL')
    for (const pid of started) send(pid, 'SIGKILL')
    await gone
    // A new server refuses to start as long as one of them is attached to the old one's memory.
    const over = () => started.every(pid => !existsSync(`/proc/${pid}`))
    await until(over, 'the processes of the server are gone', PATIENCE)
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Ms that a server may take to start or end on a machine that is busy with other things. */
const PATIENCE = 60_000

const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const { pid = 0 } of children) for (const one of [pid, ...childrenOf(pid)]) send(one, 'SIGKILL')
})

function childrenOf(pid: number): number[] {
  try {
    const text = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
    return text.trim().split(/\s+/).filter(Boolean).map(Number)
  } catch {
    return [] // it has none
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
