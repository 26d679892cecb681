import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Who works on a database's folder; the file lies beside it. */
export interface DatabaseLock {
  readonly pid: number
  readonly port: number
  /** It is about to end. */
  readonly closing?: boolean
}

/** Ms that a process may take to notice that its parent is gone, and to end then. */
const NOTICE = 500
const END = 30_000

export const lockFile = (dir: string): string => `${dir}.json`

/** The lock of a process that lives; undefined when nobody works there. */
export function lockOf(dir: string): DatabaseLock | undefined {
  try {
    const lock = JSON.parse(readFileSync(lockFile(dir), 'utf8')) as DatabaseLock
    return isAlive(lock.pid) ? lock : undefined
  } catch {
    return undefined // there is none, or whoever wrote it was killed half way
  }
}

/**
 * Takes a folder for this process: two of them would destroy what is in it. Waits for one that is ending; resolves with
 * the lock of one that stays.
 */
export async function takeLock(dir: string, port: number): Promise<DatabaseLock | undefined> {
  const end = performance.now() + END
  for (let looks = 0; ; looks++) {
    try {
      writeFileSync(lockFile(dir), JSON.stringify({ pid: process.pid, port }), { flag: 'wx' })
      return undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const other = lockOf(dir)
    // What is seen at once may still be being written, or be that of a process that has not noticed its end.
    if (looks > 0 && !other) rmSync(lockFile(dir), { force: true })
    else if (looks > 0 && other && (!other.closing || performance.now() > end)) return other
    else await sleep(NOTICE)
  }
}

/** Says that this process is about to end. */
export function announceEnd(dir: string, port: number): void {
  writeFileSync(lockFile(dir), JSON.stringify({ pid: process.pid, port, closing: true }))
}

/** The process id may be somebody else's by now. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    if (process.platform !== 'linux') return true
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(basename(PROGRAM))
  } catch {
    return false
  }
}

/** The program of the process that works on the folder. */
export const PROGRAM = 'pglite.js'
