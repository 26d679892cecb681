import {
  backoff,
  connect,
  type Events,
  inspect,
  isPassing,
  keysOf,
  openStream,
  RedisError,
  trim,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { defer, finalize, type Observable, repeat, retry, switchMap, throwError, timer } from 'rxjs'

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

/** How far the stream's groups are behind. */
export interface Backlog {
  readonly epoch: string
  /** Up to this number, all groups have been delivered every package. */
  readonly delivered: number
  /** Packages that the slowest group has not been delivered. */
  readonly backlog: number
  readonly slowest: string
  /** Entries in the stream. */
  readonly length: number
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
    const now = await backlogOf(redis, options)
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
  return defer(() => connect(url, 'conveyor-monitor', deadline)).pipe(
    switchMap(redis =>
      defer(() => look(redis)).pipe(
        repeat({ delay: LOOK }),
        finalize(() => redis.disconnect()),
      ),
    ),
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

async function backlogOf(redis: Redis, { stream, groups, events }: MonitorOptions): Promise<Backlog> {
  const { epoch } = await openStream(redis, keysOf(stream, groups[0] as string), groups)
  const all: Backlog[] = []
  for (const group of groups) {
    const state = await inspect(redis, keysOf(stream, group))
    events.next({ type: 'inspected', group, state })
    const { sequence, lag, length } = state
    all.push({ epoch, delivered: sequence - lag, backlog: lag, slowest: group, length })
  }
  return all.reduce((worst, one) => (one.delivered < worst.delivered ? one : worst))
}
