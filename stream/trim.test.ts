import { expect, test } from 'vitest'
import { type Bench, bench, ownRedis, useRedis } from '../tests/redis.ts'
import { openStream, StreamUnusable } from './open.ts'
import { type TrimOptions, trim } from './trim.ts'

const on = useRedis()

/** Trims to 50 when longer than 100, as a producer does. */
async function trimmed(b: Bench, more: Partial<TrimOptions> = {}) {
  const epoch = (await b.redis.hget(b.keys.head, 'epoch')) as string
  return trim(b.redis, b.keys, { epoch, above: 100, to: 50, events: b.events, ...more })
}
const ids = async (b: Bench) => (await b.redis.xrange(b.keys.stream, '-', '+')).map(([id]) => id)

/** Has a group read `count` entries and settle those that `settled` names. */
async function work(b: Bench, group: string, count: number, settled: (i: number) => boolean = () => true) {
  const { stream } = b.keys
  const reply = await b.redis.xreadgroup('GROUP', group, 'c', 'COUNT', count, 'STREAMS', stream, '>')
  const read = (reply as [string, [string][]][] | null)?.[0]?.[1].map(([id]) => id) ?? []
  const done = read.filter((_, i) => settled(i))
  for (let i = 0; i < done.length; i += 5000) await b.redis.xack(stream, group, ...done.slice(i, i + 5000))
}

test('what is settled goes, and exactly the newest stay', async () => {
  const b = await bench(on)
  const entries = await b.fill(1000)
  await work(b, 'workers', 1000)
  expect(await trimmed(b)).toEqual({ removed: 950, length: 50 })
  expect(await ids(b)).toEqual(entries.slice(-50))
  expect(b.of('trimmed')).toMatchObject([{ removed: 950, length: 50 }])
})

test('a stream that is not longer than `above` is left alone', async () => {
  const b = await bench(on)
  await b.fill(100)
  await work(b, 'workers', 100)
  expect(await trimmed(b)).toEqual({ removed: 0, length: 100 })
  expect(b.of('trimmed')).toEqual([])
})

test('what no consumer was given stays, however long the stream, and the group that needs it is named', async () => {
  const b = await bench(on)
  const entries = await b.fill(1000)
  expect(await trimmed(b)).toEqual({ removed: 0, length: 1000, pinnedBy: 'workers' })
  await work(b, 'workers', 300)
  expect(await trimmed(b)).toEqual({ removed: 300, length: 700, pinnedBy: 'workers' })
  expect(await ids(b)).toEqual(entries.slice(300))
})

test('what is pending stays, with all that is newer', async () => {
  const b = await bench(on)
  const entries = await b.fill(1000)
  await work(b, 'workers', 1000, i => i !== 123 && i !== 700)
  expect(await trimmed(b)).toEqual({ removed: 123, length: 877, pinnedBy: 'workers' })
  expect(await ids(b)).toEqual(entries.slice(123))
})

test('of two groups the slower one is waited for, and named', async () => {
  const b = await bench(on, ['workers', 'auditors'])
  const entries = await b.fill(1000)
  await work(b, 'workers', 1000)
  await work(b, 'auditors', 400, i => i !== 250)
  expect(await trimmed(b)).toEqual({ removed: 250, length: 750, pinnedBy: 'auditors' })
  expect(await ids(b)).toEqual(entries.slice(250))
})

test('nothing goes while a recorded group is missing, and it is named', async () => {
  const b = await bench(on, ['workers', 'auditors'])
  await b.fill(1000)
  await work(b, 'workers', 1000)
  await b.redis.xgroup('DESTROY', b.keys.stream, 'auditors')
  const error = await trimmed(b).catch(found => found)
  expect(error).toBeInstanceOf(StreamUnusable)
  expect(error).toMatchObject({ code: 'GROUPGONE', subject: 'auditors' })
  expect(await b.redis.xlen(b.keys.stream)).toBe(1000)
})

test('a producer that ran before any consumer trims nothing away from them', async () => {
  const b = await bench(on)
  await openStream(b.redis, b.keys, ['workers'])
  await b.fill(500)
  await trimmed(b)
  await b.open('a')
  expect(await b.receive('a', 1000)).toHaveLength(500)
})

test('a group that nobody recorded pins nothing', async () => {
  const b = await bench(on)
  await b.fill(500)
  await work(b, 'workers', 500)
  await b.redis.xgroup('CREATE', b.keys.stream, 'stranger', '0')
  expect(await trimmed(b)).toEqual({ removed: 450, length: 50 })
})

test('in a new life of the stream, a producer left over trims nothing', async () => {
  const b = await bench(on)
  await b.fill(500)
  await work(b, 'workers', 500)
  await expect(trimmed(b, { epoch: 'another' })).rejects.toMatchObject({ code: 'EPOCH' })
  expect(await b.redis.xlen(b.keys.stream)).toBe(500)
  await b.redis.del(b.keys.stream)
  await expect(trimmed(b)).rejects.toMatchObject({ name: 'StreamUnusable', code: 'STREAMGONE' })
})

test('a full Redis can be trimmed', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  await b.fill(500)
  await work(b, 'workers', 500)
  await redis.config('SET', 'maxmemory', '1mb')
  expect(await trimmed(b)).toEqual({ removed: 450, length: 50 })
})

test('settling and trimming at the same time lose nothing that is not settled', async () => {
  const b = await bench(on)
  await b.fill(3000)
  let trimming = true
  const trims = (async () => {
    while (trimming) await trimmed(b, { slice: 100 })
  })()
  const { stream, group } = b.keys
  let received = 0
  while (received < 3000) {
    const batch = await b.receive('a', 50)
    received += batch.length
    const found = await Promise.all(batch.map(id => b.redis.xrange(stream, id, id)))
    expect(found.every(entries => entries.length === 1)).toBe(true)
    await b.redis.xack(stream, group, ...batch)
  }
  trimming = false
  await trims
  expect((await trimmed(b, { above: 50 })).length).toBe(50)
})

/** The slowest command in ms, of all that the server ran. */
async function slowest(b: Bench, run: () => Promise<unknown>): Promise<{ ms: number; calls: number }> {
  await b.redis.config('SET', 'slowlog-log-slower-than', '0')
  await b.redis.config('SET', 'slowlog-max-len', '100000')
  await b.redis.slowlog('RESET')
  await run()
  const log = (await b.redis.slowlog('GET', 100000)) as [number, number, number, string[]][]
  const scripts = log.filter(([, , , words]) => /^eval/i.test(words[0] as string))
  return { ms: Math.max(...scripts.map(([, , micros]) => micros)) / 1000, calls: scripts.length }
}

test('a long stream goes in slices, and Redis is never busy for long', async () => {
  for (const [limit, bytes] of [
    ['100', '4096'],
    ['10000', '0'],
  ] as const) {
    const { server, redis } = await ownRedis('--appendfsync', 'no')
    const b = await bench({ server, redis })
    await redis.config('SET', 'stream-node-max-entries', limit)
    await redis.config('SET', 'stream-node-max-bytes', bytes)
    for (let i = 0; i < 20; i++) await b.fill(10_000)
    await work(b, 'workers', 200_000)
    const { ms, calls } = await slowest(b, () => trimmed(b))
    console.log(
      `nodes of ${limit} entries: 200,000 entries trimmed in ${calls} scripts, the longest took ${ms} ms`,
    )
    expect(b.of('trimmed')).toMatchObject([{ removed: 199_950, length: 50 }])
    if (limit === '100') expect(b.of('trimmed')[0]?.slices).toBeGreaterThanOrEqual(199_950 / 5000)
  }
})

test('keeping ten thousand entries of some size keeps Redis no longer busy', async () => {
  const { server, redis } = await ownRedis('--appendfsync', 'no')
  const b = await bench({ server, redis })
  for (let i = 0; i < 6; i++) await b.fill(5000, 'x'.repeat(2000))
  await work(b, 'workers', 30_000)
  const { ms, calls } = await slowest(b, () => trimmed(b, { above: 20_000, to: 10_000 }))
  console.log(`20,000 entries of 2 KB trimmed to 10,000 in ${calls} scripts, the longest took ${ms} ms`)
  expect(await b.redis.xlen(b.keys.stream)).toBe(10_000)
  expect(ms).toBeLessThan(50) // ten times what is meant to be the most
})
