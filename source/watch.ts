import {
  type Backlog,
  backlogOf,
  backoff,
  connected,
  isPassing,
  keysOf,
  RedisError,
  sourcePositions,
} from '@conveyor/stream'
import { defer, type Observable, repeat, retry, switchMap, throwError, timer } from 'rxjs'

export interface WatchOptions {
  readonly url: string
  readonly stream: string
  /** Groups for which the sources wait, one at least. */
  readonly groups: string[]
  /** Ms that a command may wait for its answer. */
  readonly deadline: number
}

/** What a look has found. */
export interface Seen {
  readonly backlog: Backlog
  /** Asks how far the sources are now, as `sourcePositions` does. */
  readonly positions: () => ReturnType<typeof sourcePositions>
}

/** Ms between two looks. */
const LOOK = 250

/**
 * Watches how far the groups are behind. A lost connection and a new life of the stream are survived; errors with what
 * does not pass by itself, as `openStream` does.
 */
export function watch({ url, stream, groups, deadline }: WatchOptions): Observable<Seen> {
  const keys = keysOf(stream, groups[0] as string)
  return connected(url, 'conveyor-sources', deadline).pipe(
    switchMap(redis =>
      defer(async () => ({
        backlog: await backlogOf(redis, stream, groups),
        positions: () => sourcePositions(redis, keys),
      })).pipe(repeat({ delay: LOOK })),
    ),
    retry({
      delay: (error, attempt) => {
        const passes = isPassing(error) || (error instanceof RedisError && error.code === 'EPOCH')
        return passes ? timer(backoff(attempt)) : throwError(() => error)
      },
      resetOnSuccess: true,
    }),
  )
}
