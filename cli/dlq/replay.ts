import { type Keys, purgeDeadLetter, replayDeadLetter, replayJudge } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { type ActOptions, actOn } from './act.ts'

export interface ReplayOptions extends ActOptions {
  /** Letters that were replayed so often are left alone. */
  readonly maxReplays: number
}

/** Has the messages of letters return to the stream. Returns the exit code. */
export async function replayLetters(
  redis: Redis,
  keys: Keys,
  ids: readonly string[],
  options: ReplayOptions,
): Promise<number> {
  const { maxReplays } = options
  return actOn(redis, keys, ids, options, {
    name: 'replay',
    past: 'replayed',
    means: `return to ${keys.stream} for group ${keys.group}`,
    judge: await replayJudge(redis, keys, maxReplays),
    hint: `replayed ${maxReplays} times or more already (--max-replays)`,
    run: async id => (await replayDeadLetter(redis, keys, id)) !== undefined,
  })
}

/** Deletes letters for good. Returns the exit code. */
export function purgeLetters(
  redis: Redis,
  keys: Keys,
  ids: readonly string[],
  options: ActOptions,
): Promise<number> {
  return actOn(redis, keys, ids, options, {
    name: 'purge',
    past: 'purged',
    means: 'be deleted for good',
    judge: () => undefined,
    run: id => purgeDeadLetter(redis, keys, id),
  })
}
