import type { Redis } from 'ioredis'
import { inspect, type StreamState } from './inspect.ts'
import { keysOf } from './keys.ts'
import { openStream } from './open.ts'

/** How far a stream's groups are behind. */
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

/**
 * Looks how far each group is behind; opens the stream if need be. Rejects as `openStream` and `inspect` do.
 *
 * @param groups recorded groups, one at least
 * @param seen hears of each group's state
 */
export async function backlogOf(
  redis: Redis,
  stream: string,
  groups: string[],
  seen: (group: string, state: StreamState) => void = () => {},
): Promise<Backlog> {
  const { epoch } = await openStream(redis, keysOf(stream, groups[0] as string), groups)
  const all: Backlog[] = []
  for (const group of groups) {
    const state = await inspect(redis, keysOf(stream, group))
    seen(group, state)
    const { sequence, lag, length } = state
    all.push({ epoch, delivered: sequence - lag, backlog: lag, slowest: group, length })
  }
  return all.reduce((worst, one) => (one.delivered < worst.delivered ? one : worst))
}
