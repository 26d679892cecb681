import { Redis } from 'ioredis'
import type { RedisState } from './checker.ts'

const [STREAM, GROUP] = ['number_stream', 'consumer_group']

/** What Redis holds, asked for in its own words. */
export async function redisState(url: string): Promise<RedisState> {
  const redis = new Redis(url)
  try {
    const [pending] = (await redis.xpending(STREAM, GROUP)) as [number]
    const delivered = await lastDelivered(redis)
    const letters = await redis.xrange(`{${STREAM}}:dead`, '-', '+')
    const unwritten: string[] = []
    for (const key of await redis.keys(`{${STREAM}}:${GROUP}:output:*`))
      if ((await redis.xlen(key)) > 0) unwritten.push(key)
    return {
      sequence: Number(await redis.hget(`{${STREAM}}:head`, 'sequence')),
      pending,
      undelivered: (await redis.xrange(STREAM, `(${delivered}`, '+')).length,
      dead: letters.map(([, fields]) => numberIn(fields)),
      waiting: (await redis.hvals(`{${STREAM}}:${GROUP}:waiting`)).map(text => Number(JSON.parse(text)[0])),
      unwritten,
    }
  } finally {
    redis.disconnect()
  }
}

async function lastDelivered(redis: Redis): Promise<string> {
  const groups = (await redis.xinfo('GROUPS', STREAM)) as unknown[][]
  const group = groups.find(row => row[row.indexOf('name') + 1] === GROUP) ?? []
  return String(group[group.indexOf('last-delivered-id') + 1])
}

/** The package that a dead letter's data names. */
function numberIn(fields: string[]): number {
  return Number(JSON.parse(fields[fields.indexOf('data') + 1] ?? '{}').payload?.package)
}
