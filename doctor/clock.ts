import { answer } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { type Check, finding, ok } from './check.ts'
import { duration } from './units.ts'

/** Seconds from which a difference is worth mending. */
const NOTICEABLE = 1
const SAMPLES = 5

/**
 * How far this machine's clock is from Redis'. Nothing is judged by clocks, but ages and times of messages, logs and
 * traces are only as good as they are.
 *
 * @param now this machine's clock, Unix ms
 */
export async function checkClock(redis: Redis, now: () => number = Date.now): Promise<Check> {
  let best = { trip: Number.POSITIVE_INFINITY, skew: 0 } // the quickest answer says it best
  for (let i = 0; i < SAMPLES; i++) {
    const before = now()
    const [seconds, micros] = (await answer(redis.time())) as unknown as [string, string]
    const after = now()
    const trip = after - before
    const redisTime = Number(seconds) * 1000 + Number(micros) / 1000
    if (trip < best.trip) best = { trip, skew: (redisTime - (before + after) / 2) / 1000 }
  }
  const { skew } = best
  const size = Math.abs(skew)
  if (size < NOTICEABLE) return ok('clock', `${Math.round(size * 1000)} ms from Redis'`)
  return finding(
    'clock',
    `Redis' clock is ${duration(size)} ${skew > 0 ? 'ahead of' : 'behind'} this machine's: ages and traces are off by that`,
    'have both machines keep time by NTP (timedatectl set-ntp true)',
  )
}
