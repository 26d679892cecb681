import { execFile } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { askRedis } from './answer.ts'

/** The file in a data folder that names the server working there: `{"pid": 1234, "port": 6379}`. */
export interface RedisLock {
  pid: number
  port: number
}

/** Another live server works in the folder: two of them would destroy its append-only file. */
export class RedisInUse extends Error {
  override readonly name = 'RedisInUse'
  readonly dir: string
  readonly pid: number
  readonly port: number
  readonly url: string

  constructor(dir: string, { pid, port }: RedisLock) {
    const url = `redis://127.0.0.1:${port}`
    super(`${dir} is in use by a Redis that is already running: process ${pid}, ${url}`)
    this.dir = dir
    this.pid = pid
    this.port = port
    this.url = url
  }
}

export function lockFile(dir: string): string {
  return join(dir, 'conveyor-redis.json')
}

/** Undefined when there is no lock; process 0, which no server is, when the file cannot be read as one. */
export function readLock(dir: string): RedisLock | undefined {
  if (!existsSync(lockFile(dir))) return undefined
  try {
    const { pid, port } = JSON.parse(readFileSync(lockFile(dir), 'utf8'))
    if (Number.isInteger(pid) && Number.isInteger(port)) return { pid, port }
  } catch {}
  return { pid: 0, port: 0 }
}

/** URL of the server that works in a data folder; undefined when there is none. Asks only for the process. */
export function runningRedis(dir: string): string | undefined {
  const lock = readLock(dir)
  if (!lock?.pid) return undefined
  try {
    process.kill(lock.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined
  }
  return `redis://127.0.0.1:${lock.port}`
}

/** Removes the lock if it is still that of process `pid`. */
export function releaseLock(dir: string, pid: number): void {
  if (readLock(dir)?.pid === pid) rmSync(lockFile(dir), { force: true })
}

/**
 * Makes sure that no server works in `dir`, and removes the lock of one that died there. A server that
 * is just starting, ending or stopped does not answer: it is given `patienceMs` (10 s) to do either.
 *
 * @param dir the folder's real path, as the server itself reports it
 * @throws {RedisInUse} when one is alive
 */
export async function clearStaleLock(dir: string, patienceMs = 10_000): Promise<void> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const lock = readLock(dir)
    if (!lock) return
    const answer = await askRedis(lock.port)
    if (answer?.pid === lock.pid && answer.dir === dir) throw new RedisInUse(dir, lock)
    // The process id may be somebody else's by now.
    if (!(await isServerOn(lock))) return releaseLock(dir, lock.pid)
    if (performance.now() > deadline) throw new RedisInUse(dir, lock)
    await sleep(50)
  }
}

/** Whether the process is alive and its command line is that of a server on that port. */
async function isServerOn({ pid, port }: RedisLock): Promise<boolean> {
  const command = await commandLine(pid)
  return /redis|valkey/.test(command) && new RegExp(`\\b${port}\\b`).test(command)
}

/** Empty for a process that does not exist, or that has ended and waits for its parent. */
async function commandLine(pid: number): Promise<string> {
  try {
    if (process.platform === 'linux') return await readFile(`/proc/${pid}/cmdline`, 'utf8')
    const { stdout } = await promisify(execFile)('ps', ['-o', 'command=', '-p', String(pid)])
    return stdout
  } catch {
    return ''
  }
}
