import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import type { Keys } from './keys.ts'
import { Script } from './scripts.ts'

const script = new Script<number>('forget')

/**
 * Ends the stream's present life: deletes the stream and everything kept about it in Redis, so that the
 * next to open it begins a new epoch. Processes that still run are fenced and join the new life. Output
 * files stay where they are. What was not yet handled is gone: flush first, and say what is abandoned.
 */
export async function forget(redis: Redis, keys: Keys): Promise<void> {
  await script.run(redis, [keys.stream, keys.head, keys.dead], [keys.group])
  // Lanes and histories of this life say nothing in the next; they only take room until they expire.
  for (const match of [`{${keys.stream}}:lane:*`, keys.historyOf('*')]) {
    for await (const page of redis.scanStream({ match, count: 1000 }))
      if (page.length > 0) await answer(redis.unlink(...(page as string[])))
  }
}
