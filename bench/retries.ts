import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Keys, keysOf } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { end, service, whileAlive } from './processes.ts'
import { consumerEnv, fill, until } from './throughput.ts'

/**
 * How much later than they were due messages came back to the stream, ms, in ascending order: `count` of them, one due
 * each millisecond, returned by three consumers that all look for what is due.
 */
export async function lateness(
  redis: Redis,
  url: string,
  count: number,
  outputDir: string,
): Promise<number[]> {
  const stream = 'bench_retries'
  const keys = keysOf(stream, 'fill')
  await fill(url, stream, count)
  const handler = fileURLToPath(new URL('late-handler.js', import.meta.url))
  const children: ChildProcess[] = ['c1', 'c2', 'c3'].map(id =>
    service('consumer', {
      ...consumerEnv(url, stream, 'fill', id, `${outputDir}/${stream}`),
      HANDLER: handler,
    }),
  )
  const returned = async () => {
    await until(async () => (await redis.zcard(keys.retry)) === count)
    const due = await dueTimes(redis, keys)
    await until(async () => (await redis.xlen(stream)) === 2 * count)
    return due
  }
  try {
    const due = await whileAlive(children, returned())
    return (await readLateness(redis, keys, due)).sort((a, b) => a - b)
  } finally {
    await end(children, 'SIGKILL')
    await redis.unlink(stream)
  }
}

/** Id of the message -> when it is due. */
async function dueTimes(redis: Redis, { retry }: Keys): Promise<Map<string, number>> {
  const found = await redis.zrange(retry, '0', '-1', 'WITHSCORES')
  const due = new Map<string, number>()
  for (let i = 0; i < found.length; i += 2) due.set(found[i] as string, Number(found[i + 1]))
  return due
}

async function readLateness(redis: Redis, { stream }: Keys, due: Map<string, number>): Promise<number[]> {
  const late: number[] = []
  for (const [entry, fields] of await redis.xrange(stream, '-', '+')) {
    const at = fields.indexOf('conveyor')
    if (at < 0) continue
    const { id } = JSON.parse(fields[at + 1] as string)
    late.push(Number.parseInt(entry, 10) - (due.get(id) as number))
  }
  return late
}

/** Puts messages of a group off for a day, as many failed attempts would have. */
export async function fillWaiting(redis: Redis, keys: Keys, count: number): Promise<void> {
  const due = Date.now() + 24 * 3600_000
  const data = '{"timestamp_producer":1753553379,"payload":{"package":1}}'
  const conveyor = '{"group":"g","id":"1-1","attempt":2,"replays":0,"failures":[]}'
  const body = JSON.stringify(['1', 'data', data, 'conveyor', conveyor])
  for (let from = 0; from < count; from += 1000) {
    const ids = Array.from({ length: Math.min(1000, count - from) }, (_, i) => `1-${from + i}`)
    await redis.zadd(keys.retry, ...ids.flatMap((id, i) => [due + from + i, id]))
    await redis.hset(keys.waiting, ...ids.flatMap(id => [id, body]))
  }
}
