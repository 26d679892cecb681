import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import type { Keys } from './keys.ts'

/**
 * Ends the stream's present life: deletes the stream and everything kept about it in Redis, so that the
 * next to open it begins a new epoch. Processes that still run are fenced and join the new life. Output
 * files stay where they are. What was not yet handled is gone: flush first, and say what is abandoned.
 */
export async function forget(redis: Redis, keys: Keys): Promise<void> {
  // The head and the stream go first and together: what is left over belongs to no life and is harmless.
  const found = [keys.stream, keys.head, keys.sessions]
  for await (const page of redis.scanStream({ match: `{${keys.stream}}:*`, count: 1000 })) found.push(...page)
  await answer(redis.unlink(...new Set(found)))
}
