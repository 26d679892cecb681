import { mkdir, mkdtemp, readFile, realpath, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { askRedis } from './answer.ts'
import { NOT_LOCKED, type RedisExit, spawnServer } from './launch.ts'
import { clearStaleLock, RedisInUse, readLock } from './lock.ts'

export interface StartOptions {
  /** The executable, as {@link findRedisServer} gives it. */
  path: string
  /** Holds the data, the log and the lock; created if need be. Default: a new one, which stop() removes. */
  dir?: string | undefined
  /** Default 0: any free port. */
  port?: number
  /** When a write counts as kept: on disk before its reply (default), within a second, or when it suits. */
  appendfsync?: 'always' | 'everysec' | 'no'
  /** Further settings, which win over those here: `['--maxmemory', '100mb']`. Not a password. */
  args?: readonly string[]
  /** Appended to. Default: `redis.log` in `dir`. */
  logFile?: string
  /** How long the server may take to answer, in ms. Reading its data does not count. Default 30,000. */
  deadlineMs?: number
  /** Gets progress while the server reads its data. Default: nowhere. */
  log?: (line: string) => void
}

export interface RedisProcess {
  /** `redis://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** The data folder's real path. */
  readonly dir: string
  readonly version: string
  /** Settles when the process has ended, for whatever reason; never rejects. */
  readonly exited: Promise<RedisExit>
  /** Sends a signal; does nothing to a process that has ended. */
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, after `graceMs` (10,000) SIGKILL. Resolves when the process has ended; can be repeated. */
  stop(graceMs?: number): Promise<void>
}

/** The server ended, or did not answer, before it was ready. The message ends with its last log lines. */
export class RedisStartFailed extends Error {
  override readonly name = 'RedisStartFailed'
  readonly path: string
  readonly port: number
  /** Undefined when it was alive but silent until the deadline. */
  readonly exit: RedisExit | undefined
  readonly logTail: string
  /** Whether another process listens on the port. */
  readonly portTaken: boolean

  constructor(path: string, port: number, exit: RedisExit | undefined, logTail: string) {
    const how = exit ? `ended with ${exit.signal ?? `exit code ${exit.code}`}` : 'did not answer in time'
    super(`${path} on port ${port} ${how}. Its last lines:\n${logTail}`)
    this.path = path
    this.port = port
    this.exit = exit
    this.logTail = logTail
    this.portTaken = logTail.includes('Address already in use')
  }
}

/**
 * Starts a Redis or Valkey server on 127.0.0.1 and waits until it takes commands. What it was told
 * survives it: an append-only file, by default written through to the disk before each reply, so that
 * a restart on the same `dir` goes on where it was.
 *
 * The server is in a process group of its own, so Ctrl-C does not reach it and it outlives the drain;
 * but it ends when this process ends, even by SIGKILL.
 *
 * @throws {RedisInUse} when a server is already running in `dir`
 * @throws {RedisStartFailed} when it ends or stays silent: a taken port, a bad path, data it cannot read
 */
export async function startRedis(options: StartOptions): Promise<RedisProcess> {
  const { dir, port = 0 } = options
  const temporary = dir === undefined
  const folder = temporary ? await mkdtemp(join(tmpdir(), 'conveyor-redis-')) : resolve(dir)
  const remove = () =>
    // Retried, because a rewrite of the append-only file may outlive a killed server for a moment.
    temporary ? rm(folder, { recursive: true, force: true, maxRetries: 10 }) : Promise.resolve()
  try {
    await mkdir(folder, { recursive: true })
    const real = await realpath(folder)
    for (let attempt = 1; ; attempt++) {
      await clearStaleLock(real)
      try {
        return await launch(real, port === 0 ? await freePort() : port, options, remove)
      } catch (error) {
        if (attempt === 10 || !(error instanceof RedisStartFailed)) throw error
        const lockTaken = error.exit?.code === NOT_LOCKED && readLock(real) !== undefined
        if (!lockTaken && !(error.portTaken && port === 0)) throw error
      }
    }
  } catch (error) {
    await remove()
    throw error
  }
}

async function launch(
  dir: string,
  port: number,
  options: StartOptions,
  remove: () => Promise<void>,
): Promise<RedisProcess> {
  const { path, logFile = join(dir, 'redis.log') } = options
  const logStart = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  )
  const { child, exited } = spawnServer(path, serverArgs(dir, port, options), { dir, port, logFile })
  const over = new AbortController()
  exited.then(() => over.abort())
  const ready = await Promise.race([exited, untilReady(child.pid as number, port, options, over.signal)])
  if (typeof ready !== 'string') {
    child.kill('SIGKILL')
    await exited
    throw new RedisStartFailed(path, port, ready, await lastLines(logFile, logStart))
  }

  const holder = readLock(dir)
  if (holder && holder.pid !== child.pid) {
    // Two starts found the same stale lock, and the other one removed ours instead of it.
    child.kill('SIGKILL')
    await exited
    throw new RedisInUse(dir, holder)
  }

  const stop = async (graceMs: number) => {
    child.kill('SIGTERM')
    // A stopped process obeys once it continues.
    child.kill('SIGCONT')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await exited
    clearTimeout(timer)
    await remove()
  }
  let stopping: Promise<void> | undefined
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: child.pid as number,
    dir,
    version: ready,
    exited,
    kill: signal => void child.kill(signal),
    stop: (graceMs = 10_000) => {
      stopping ??= stop(graceMs)
      return stopping
    },
  }
}

/**
 * Resolves with the version as soon as process `pid` takes commands on `port`, or with undefined when
 * it has not answered in time or is over. Whoever else answers there does not count: it has the port, and ours is
 * about to find out.
 */
async function untilReady(
  pid: number,
  port: number,
  { deadlineMs = 30_000, log = () => {} }: StartOptions,
  over: AbortSignal,
): Promise<string | undefined> {
  let deadline = performance.now() + deadlineMs
  let reported = 0
  while (!over.aborted && performance.now() < deadline) {
    const answer = await askRedis(port)
    if (answer?.pid === pid) {
      if (answer.ready) return answer.version
      if (answer.loadedPercent !== undefined) deadline = performance.now() + deadlineMs
      if (answer.loadedPercent !== undefined && performance.now() - reported > 1_000) {
        reported = performance.now()
        log(`Redis is reading its data: ${Math.floor(answer.loadedPercent)} %`)
      }
    }
    await sleep(20)
  }
  return undefined
}

/** The command line that follows from the options. */
function serverArgs(
  dir: string,
  port: number,
  { appendfsync = 'always', args = [] }: StartOptions,
): readonly string[] {
  const settings = {
    port,
    bind: '127.0.0.1',
    'protected-mode': 'yes',
    'enable-debug-command': 'no',
    daemonize: 'no',
    dir,
    appendonly: 'yes',
    appendfsync,
    'aof-use-rdb-preamble': 'yes',
    // The file is rewritten when it has doubled, but a small one is let grow first.
    'auto-aof-rewrite-percentage': 100,
    'auto-aof-rewrite-min-size': '64mb',
    save: '',
    // Out of memory is an error that a writer sees; never a stream that vanishes.
    'maxmemory-policy': 'noeviction',
  }
  return [...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]), ...args]
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** The last 20 lines of what was appended to the log after its first `from` bytes. */
async function lastLines(logFile: string, from: number): Promise<string> {
  const bytes = await readFile(logFile)
  return bytes.subarray(from).toString().trimEnd().split('\n').slice(-20).join('\n')
}
