import type { Keys } from '@conveyor/stream'
import type { Redis } from 'ioredis'

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
