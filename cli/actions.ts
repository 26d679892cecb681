import { commandLineUser, type Keys, recordAction } from '@conveyor/stream'
import type { Redis } from 'ioredis'

/**
 * Puts on record what was done by a command, so that it is seen beside what was done elsewhere.
 *
 * @param words of the command line, as far as they say what was done
 */
export async function recorded(
  redis: Redis,
  keys: Keys,
  action: string,
  what: string,
  count: number,
  words: readonly string[] = process.argv.slice(2),
): Promise<void> {
  const command = ['conveyor', ...words].join(' ')
  await recordAction(redis, keys, { who: commandLineUser(), action, what, count, command })
}
