import { setTimeout as sleep } from 'node:timers/promises'
import { inspect, keysOf } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { end, residentMemory, service } from './processes.ts'

/** Memory of a consumer after so many packages, in MB. */
export interface MemoryPoint {
  readonly packages: number
  readonly megabytes: number
}

/**
 * Runs a producer flat out and one consumer, with trimming, and reads the consumer's resident memory
 * (the lowest of ten looks, half a second apart: what is kept, not what is about to be collected) after
 * each of `points` packages.
 */
export async function memoryOver(
  redis: Redis,
  url: string,
  points: number[],
  outputDir: string,
): Promise<MemoryPoint[]> {
  const stream = 'bench_memory'
  const keys = keysOf(stream, 'consumer_group')
  const common = { REDIS_URL: url, STREAM: stream }
  const producer = service('producer', { ...common, RATE: 'max', PORT: '0', TRIM_INTERVAL_MS: '2000' })
  const consumer = service('consumer', { ...common, OUTPUT_DIR: `${outputDir}/memory`, CONSUMER_ID: 'c1' })
  const result: MemoryPoint[] = []
  try {
    for (const point of points) {
      while ((await inspect(redis, keys)).done < point) await sleep(200)
      const looks: number[] = []
      for (let look = 0; look < 10; look++, await sleep(500))
        looks.push(await residentMemory(consumer.pid as number))
      result.push({ packages: point, megabytes: Math.min(...looks) })
    }
    return result
  } finally {
    await end([producer, consumer])
    await redis.unlink(stream)
  }
}
