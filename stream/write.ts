import { setTimeout as sleep } from 'node:timers/promises'
import { defer, ignoreElements, type Observable, repeat } from 'rxjs'
import { backoff } from './backoff.ts'
import type { Session } from './session.ts'

/** Ms between looks at a file to which nothing is being written. */
const IDLE_CHECK = 1000

/** Ms without a commit after which Redis is told to forget what is on disk. */
const LINGER = 20

/**
 * Keeps the consumer's own output file up with its output log, for as long as it is subscribed. While the
 * disk refuses (full, read-only, failing) it goes on trying, and the output waits in Redis.
 *
 * Never emits; errors with `OutputDamaged`, `OutputRefused`, `RedisError` or `ConnectionLost`.
 */
export function writeOutput(session: Session): Observable<never> {
  return defer(() => step(session)).pipe(repeat(), ignoreElements())
}

async function step(session: Session): Promise<void> {
  const { writer } = session
  if (!writer) return sleep(IDLE_CHECK)
  const { events, consumer } = session.options
  const more = async () => {
    await session.held.until(() => session.unflushed > 0 || session.stopping, LINGER)
    return session.unflushed > 0
  }
  for (let attempt = 1; ; attempt++) {
    try {
      const end = await writer.flush((bytes, to, ms) => {
        session.flushed = to
        session.spans.flushed(to)
        session.held.changed()
        events.next({ type: 'flushed', consumer, bytes, to, ms })
      }, more)
      session.flushed = session.forgotten = end
      if (attempt > 1) events.next({ type: 'outputResumed', consumer })
      break
    } catch (error) {
      // A file that was closed because the session is over is no news of the disk.
      if (!isSystemError(error) || session.lost.signal.aborted) throw error
      if (attempt === 1) events.next({ type: 'outputBlocked', consumer, error })
      await sleep(backoff(attempt))
    }
  }
  session.held.changed()
  await session.held.until(() => session.unflushed > 0, IDLE_CHECK)
}

/** An error of the operating system, such as ENOSPC, EROFS or EIO. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
