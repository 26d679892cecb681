import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import { type Keys, keysOf } from './keys.ts'
import { Script } from './scripts.ts'

const script = new Script<string[]>('forget')

/**
 * Ends the stream's present life: deletes the stream and everything kept about it in Redis, so that the
 * next to open it begins a new epoch. Processes that still run are fenced and join the new life. Output
 * files stay where they are. What was not yet handled is gone: flush first, and say what is abandoned.
 */
export async function forget(redis: Redis, keys: Keys): Promise<void> {
  const groups = await script.run(redis, [keys.stream, keys.head, keys.dead], [keys.group])
  // Stories of packages would be told of others in the next life. Lanes name their life; they expire by themselves.
  for (const group of groups) {
    const match = keysOf(keys.stream, group).historyOf('*')
    for await (const page of redis.scanStream({ match, count: 1000 }))
      if (page.length > 0) await answer(redis.unlink(...(page as string[])))
  }
}
