import {
  type Backlog,
  backlogOf,
  backoff,
  connected,
  type Events,
  isPassing,
  keysOf,
  RedisError,
  trim,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { defer, type Observable, repeat, retry, switchMap, throwError, timer } from 'rxjs'

export interface MonitorOptions {
  readonly url: string
  readonly stream: string
  /** Recorded groups that this producer waits for, one at least. */
  readonly groups: string[]
  /** Ms that a command may wait for its answer. */
  readonly deadline: number
  /** Ms between two trims. */
  readonly trimInterval: number
  readonly trimAbove: number
  readonly trimTo: number
  readonly events: Events
}

/** Ms between two looks. */
const LOOK = 250

/**
 * Watches how far each group is behind, and trims the stream every `trimInterval`. Emits after each look.
 * A lost connection and a new life of the stream are survived; errors with `StreamUnusable` when a
 * recorded group or the stream is missing.
 */
export function monitor(options: MonitorOptions): Observable<Backlog> {
  const { url, deadline, events } = options
  let trimmed = performance.now()
  const look = async (redis: Redis): Promise<Backlog> => {
    const now = await backlogOf(redis, options.stream, options.groups, (group, state) =>
      events.next({ type: 'inspected', group, state }),
    )
    if (performance.now() - trimmed >= options.trimInterval) {
      trimmed = performance.now()
      const { trimAbove: above, trimTo: to } = options
      await trim(redis, keysOf(options.stream, options.groups[0] as string), {
        epoch: now.epoch,
        above,
        to,
        events,
      })
    }
    return now
  }
  return connected(url, 'conveyor-monitor', deadline).pipe(
    switchMap(redis => defer(() => look(redis)).pipe(repeat({ delay: LOOK }))),
    retry({
      delay: (error, attempt) => {
        const passes = isPassing(error) || (error instanceof RedisError && error.code === 'EPOCH')
        if (!passes) return throwError(() => error)
        return timer(backoff(attempt))
      },
      resetOnSuccess: true,
    }),
  )
}
