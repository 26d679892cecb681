import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { Script } from './scripts.ts'
import { waitingPackages } from './unsettled.ts'

const script = new Script<number>('retry-now')

/**
 * Has a package that waits for another attempt be due now. Returns whether it waited; may be repeated. It looks
 * through all that wait.
 */
export async function retryNow(redis: Redis, keys: Keys, number: number): Promise<boolean> {
  const entry = (await waitingPackages(redis, keys)).get(number)
  return entry !== undefined && (await script.run(redis, [keys.retry], [entry])) === 1
}
