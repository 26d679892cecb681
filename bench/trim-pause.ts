import { answer, keysOf, openStream, trim } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import type { Part } from './bench.ts'
import { fill } from './throughput.ts'

/** How long trimming keeps Redis busy. */
export const trimming: Part = async ({ redis, url, quick, progress }) => {
  progress.show('Trim')
  const entries = quick ? 20_000 : 200_000
  const { slices, longest, total } = await trimPause(redis, url, entries)
  return [
    {
      id: 'trim',
      title: 'Settled entries trimmed to 50: how long Redis is busy',
      head: ['entries', 'slices', 'longest', 'together'],
      rows: [
        [
          entries.toLocaleString('en-US'),
          String(slices),
          `${longest.toFixed(2)} ms`,
          `${total.toFixed(1)} ms`,
        ],
      ],
      figures: { entries, slices, longest, total },
    },
  ]
}

/** What trimming costs Redis. */
interface TrimPause {
  readonly slices: number
  /** The longest that Redis was busy with one slice, ms: nobody else is served meanwhile. */
  readonly longest: number
  /** All of it together, ms. */
  readonly total: number
}

/** Fills a stream, settles everything, trims it to 50, and reads from Redis' slow log how long the slices took. */
async function trimPause(redis: Redis, url: string, entries: number): Promise<TrimPause> {
  const stream = 'bench_trim'
  const keys = keysOf(stream, 'fill')
  await fill(url, stream, entries)
  const { epoch } = await openStream(redis, keys, ['fill'])
  await answer(redis.xgroup('SETID', stream, 'fill', '$'))
  await redis.config('SET', 'slowlog-log-slower-than', '0')
  await redis.config('SET', 'slowlog-max-len', '100000')
  await redis.slowlog('RESET')
  try {
    await trim(redis, keys, { epoch, above: 100, to: 50 })
    const log = (await redis.slowlog('GET', 100_000)) as [number, number, number, string[]][]
    const slices = log
      .filter(([, , , command]) => /^eval/i.test(command[0] ?? ''))
      .map(([, , micros]) => micros / 1000)
    return {
      slices: slices.length,
      longest: Math.max(...slices),
      total: slices.reduce((sum, ms) => sum + ms, 0),
    }
  } finally {
    await redis.config('SET', 'slowlog-log-slower-than', '10000')
    await redis.unlink(stream)
  }
}
