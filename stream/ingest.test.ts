import { randomUUID } from 'node:crypto'
import { startProxy } from '@conveyor/chaos'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, ownRedis, until, useRedis } from '../tests/redis.ts'
import { OutcomeUnknown } from './append.ts'
import { forget } from './forget.ts'
import { Ingest, type IngestOptions, idsOf, KeyReused, NotAppended } from './ingest.ts'
import { Script } from './scripts.ts'

const on = useRedis()

function open(b: Bench, more: Partial<IngestOptions> = {}): Ingest {
  const ingest = new Ingest({ url: b.url, keys: b.keys, groups: b.groups, events: b.events, ...more })
  onTestFinished(() => ingest.close())
  return ingest
}
const entries = (b: Bench) => b.redis.xrange(b.keys.stream, '-', '+')
const bodies = async (b: Bench) =>
  (await entries(b)).map(([, fields]) => JSON.parse(fields[1] as string).payload.body)
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

/** Messages that are themselves: the text of body n is n. */
const numbered = (from: number, count: number) => upTo(count).map(n => String(from + n - 1))

test('messages get numbers and ids, and their entries carry them as they are', async () => {
  const b = await bench(on)
  const big = '{"exact": 12345678901234567890.10, "text":"grüße 🚚"}'
  const answer = await open(b).add({ bodies: [big, 'null'] })
  const found = await entries(b)
  expect(answer).toMatchObject({ first: 1, count: 2, repeated: false })
  expect(idsOf(answer)).toEqual(found.map(([id]) => id))
  expect(found[0]?.[1]).toEqual([
    'data',
    expect.stringMatching(/^\{"timestamp_producer":\d{10},"payload":\{"package":1,"body":.*\}\}$/),
  ])
  expect(found[0]?.[1][1]).toContain(`"body":${big}}}`)
  expect(b.of('appended').map(({ first, count }) => [first, count])).toEqual([[1, 2]])
})

test('what comes while Redis is busy goes together in one call, and each gets its own numbers', async () => {
  const b = await bench(on)
  const ingest = open(b)
  const answers = await Promise.all(upTo(300).map(n => ingest.add({ bodies: numbered(n * 10, 1 + (n % 3)) })))
  const found = await bodies(b)
  const ids = (await entries(b)).map(([id]) => id)
  for (const [n, answer] of answers.entries()) {
    const { first, count } = answer
    expect(found.slice(first - 1, first - 1 + count)).toEqual(numbered((n + 1) * 10, count).map(Number))
    expect(idsOf(answer)).toEqual(ids.slice(first - 1, first - 1 + count))
  }
  expect(found.length).toBe(answers.reduce((sum, { count }) => sum + count, 0))
  expect(b.of('appended').length).toBeLessThan(10)
})

test('a request under a key that was used appends nothing and gets the first answer, from any process', async () => {
  const b = await bench(on)
  const [one, other] = [open(b), open(b)]
  const request = { bodies: ['1', '2'], key: 'k' }
  const first = await one.add(request)
  await one.add({ bodies: ['3'] })
  const all = await Promise.all(upTo(20).map(n => (n % 2 ? one : other).add(request)))
  for (const answer of all) expect(answer).toEqual({ ...first, repeated: true })
  expect(await bodies(b)).toEqual([1, 2, 3])
})

test('of requests under one key at once, in one call and from two processes, one is appended', async () => {
  const b = await bench(on)
  const [one, other] = [open(b), open(b)]
  const answers = await Promise.all(
    upTo(40).map(n => (n % 2 ? one : other).add({ bodies: ['"x"'], key: `k${n % 4 < 2 ? 1 : 2}` })),
  )
  expect(await bodies(b)).toEqual(['x', 'x'])
  expect(answers.filter(({ repeated }) => !repeated).length).toBe(2)
  expect(new Set(answers.map(({ first, id }) => `${first} ${id}`)).size).toBe(2)
})

test('a key that stands for other messages is refused, and its neighbours are not', async () => {
  const b = await bench(on)
  const ingest = open(b)
  await ingest.add({ bodies: ['1'], key: 'k' })
  const results = await Promise.allSettled([
    ingest.add({ bodies: ['2'] }),
    ingest.add({ bodies: ['3'], key: 'k' }),
    ingest.add({ bodies: ['4', '5'], key: 'l' }),
  ])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect((results[1] as PromiseRejectedResult).reason).toBeInstanceOf(KeyReused)
  expect(await bodies(b)).toEqual([1, 2, 4, 5])
})

test('a reply that is lost costs a repetition, and appends nothing twice', async () => {
  const b = await bench(on)
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: on.server.port } })
  onTestFinished(() => proxy.close())
  const ingest = open(b, { url: proxy.url })
  for (const n of upTo(10)) {
    const lost = proxy.dropNextReply(request => request.includes(':lane:'))
    const answers = await Promise.all([
      ingest.add({ bodies: [String(n)] }),
      ingest.add({ bodies: [String(-n)], key: `k${n}` }),
    ])
    await lost
    expect(answers.map(({ first, repeated }) => [first, repeated])).toEqual([
      [2 * n - 1, false],
      [2 * n, false],
    ])
  }
  expect(await bodies(b)).toEqual(upTo(10).flatMap(n => [n, -n]))
})

test('a repeated call gets the very reply that it got first, and an older one is refused', async () => {
  const b = await bench(on)
  await open(b).add({ bodies: ['0'], key: 'known' })
  const script = new Script<string>('ingest')
  const epoch = (await b.redis.hget(b.keys.head, 'epoch')) as string
  const lane = b.keys.lane(randomUUID())
  const call = (counter: number) =>
    script.run(
      b.redis,
      [b.keys.stream, b.keys.head, lane, b.keys.idempotency('h')],
      [epoch, String(counter), '', '{"p":', 0, 2, '}', '}', 'print', '{"p":', 2, 'a', 'b', 1, '}'],
    )
  const reply = await call(1)
  expect(JSON.parse(reply)).toMatchObject({ first: '2', answers: ['2', '1'] })
  expect(await call(1)).toBe(reply)
  expect(JSON.parse(await call(2))).toMatchObject({
    first: '5',
    answers: ['2', expect.stringMatching(/^4 1 \d+-\d+$/)],
  })
  await expect(call(1)).rejects.toMatchObject({ code: 'STALE' })
  expect(await b.redis.xlen(b.keys.stream)).toBe(6)
})

test('in a new life of the stream a key of an earlier one stands for nothing', async () => {
  const b = await bench(on)
  const ingest = open(b)
  await ingest.add({ bodies: ['1', '2'], key: 'k' })
  const before = b.of('opened')[0]?.epoch
  await forget(b.redis, b.keys)
  const answer = await ingest.add({ bodies: ['1', '2'], key: 'k' })
  expect(answer).toMatchObject({ first: 1, repeated: false })
  expect(answer.epoch).not.toBe(before)
  expect(await bodies(b)).toEqual([1, 2])
})

test('an answer is kept for a day', async () => {
  const b = await bench(on)
  await open(b).add({ bodies: ['1'], key: 'k' })
  const [key] = await b.redis.keys(`{${b.keys.stream}}:idempotency:*`)
  expect(await b.redis.pttl(key as string)).toBeGreaterThan(86_390_000)
})

test('a request that Redis does not answer in time: unknown when it was sent, not appended when it waited', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const ingest = open(b, { patience: 300, deadline: 60_000 })
  await ingest.add({ bodies: ['0'] })
  server.pause()
  const sent = ingest.add({ bodies: ['1'], key: 'k' })
  sent.catch(() => {})
  await until(() => (ingest as unknown as { waiting: unknown[] }).waiting.length === 0, 'it is sent')
  await expect(ingest.add({ bodies: ['2'] })).rejects.toThrow(NotAppended)
  await expect(sent).rejects.toThrow(OutcomeUnknown)
  server.resume()
  expect(await ingest.add({ bodies: ['1'], key: 'k' })).toMatchObject({ first: 2, repeated: true })
  expect(await bodies(b)).toEqual([0, 1])
})

test('what is withdrawn while it waits is not appended; what is on its way is', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const ingest = open(b, { deadline: 60_000 })
  await ingest.add({ bodies: ['0'] })
  server.pause()
  const gone = new AbortController()
  const { signal } = gone
  const sent = ingest.add({ bodies: ['1'], signal })
  await until(() => (ingest as unknown as { waiting: unknown[] }).waiting.length === 0, 'it is sent')
  const [first, second, last] = [
    ingest.add({ bodies: ['2'], signal }),
    ingest.add({ bodies: ['3'] }),
    ingest.add({ bodies: ['4'], signal }),
  ]
  const withdrawn = Promise.allSettled([first, last])
  gone.abort()
  server.resume()
  expect(await sent).toMatchObject({ first: 2 })
  expect(await second).toMatchObject({ first: 3 })
  for (const result of await withdrawn)
    expect(result).toMatchObject({ status: 'rejected', reason: expect.any(NotAppended) })
  await expect(ingest.add({ bodies: ['5'], signal })).rejects.toThrow('withdrawn')
  await ingest.add({ bodies: ['6'] })
  expect(await bodies(b)).toEqual([0, 1, 3, 6])
})

test('a few megabytes may wait for Redis, and no more', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const ingest = open(b, { deadline: 60_000 })
  await ingest.add({ bodies: ['0'] })
  server.pause()
  const body = `"${'x'.repeat(1_000_000)}"`
  const results = upTo(100).map(() => ingest.add({ bodies: [body] }))
  const settled = Promise.allSettled(results)
  await expect(ingest.add({ bodies: [body] })).rejects.toThrow(NotAppended)
  server.resume()
  const done = (await settled).filter(({ status }) => status === 'fulfilled').length
  expect(done).toBeGreaterThan(60)
  expect(done).toBeLessThan(70)
  expect(await redis.xlen(b.keys.stream)).toBe(1 + done)
})

test('a closed one takes nothing more, after it has finished what it had', async () => {
  const b = await bench(on)
  const ingest = open(b)
  const answers = upTo(10).map(n => ingest.add({ bodies: [String(n)] }))
  await ingest.close()
  expect((await Promise.all(answers)).map(({ first }) => first)).toEqual(upTo(10))
  await expect(ingest.add({ bodies: ['11'] })).rejects.toThrow(NotAppended)
})

test('is away with Redis and comes back with it', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const ingest = open(b)
  await ingest.add({ bodies: ['1'] })
  await server.kill()
  const answer = ingest.add({ bodies: ['2'] })
  await until(() => b.of('restarting').length > 1, 'it has tried')
  await server.run()
  expect(await answer).toMatchObject({ first: 2 })
  expect(await bodies(b)).toEqual([1, 2])
})
