import { setTimeout as sleep } from 'node:timers/promises'
import { inspect, keysOf } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import type { Part } from './bench.ts'
import { end, residentMemory, service, whileAlive } from './processes.ts'

/** What one consumer keeps in memory while a producer goes flat out and trims. */
export const memory: Part = async ({ redis, url, outputDir, quick, progress }) => {
  progress.show('Memory')
  const points = quick ? [20_000, 40_000] : [1_000_000, 2_000_000, 5_000_000, 10_000_000]
  const found = await memoryOver(redis, url, points, outputDir)
  return [
    {
      id: 'memory',
      title: 'Memory of a consumer',
      head: ['after packages', 'MB'],
      rows: found.map(({ packages, megabytes }) => [packages.toLocaleString('en-US'), megabytes.toFixed(1)]),
      figures: found,
    },
  ]
}

/** Memory of a consumer after so many packages, in MB. */
interface MemoryPoint {
  readonly packages: number
  readonly megabytes: number
}

/** The lowest of ten looks at resident memory, half a second apart: what is kept, not what is about to be collected. */
async function keptMemory(pid: number): Promise<number> {
  const looks: number[] = []
  for (let look = 0; look < 10; look++, await sleep(500)) looks.push(await residentMemory(pid))
  return Math.min(...looks)
}

/** Runs a producer flat out and one consumer, with trimming, and looks at the consumer after each of `points` packages. */
async function memoryOver(
  redis: Redis,
  url: string,
  points: number[],
  outputDir: string,
): Promise<MemoryPoint[]> {
  const stream = 'bench_memory'
  const keys = keysOf(stream, 'consumer_group')
  const common = { REDIS_URL: url, STREAM: stream }
  const producer = service('producer', {
    env: { ...common, RATE: 'max', PORT: '0', TRIM_INTERVAL_MS: '2000' },
  })
  const consumer = service('consumer', {
    env: { ...common, OUTPUT_DIR: `${outputDir}/memory`, CONSUMER_ID: 'c1' },
  })
  const looks = async () => {
    const result: MemoryPoint[] = []
    for (const point of points) {
      while ((await inspect(redis, keys)).done < point) await sleep(200)
      result.push({ packages: point, megabytes: await keptMemory(consumer.pid as number) })
    }
    return result
  }
  try {
    return await whileAlive([producer, consumer], looks())
  } finally {
    await end([producer, consumer])
    await redis.unlink(stream)
  }
}
