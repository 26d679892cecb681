import { randomUUID } from 'node:crypto'
import { createServer, Socket } from 'node:net'
import { concat, firstValueFrom, from, lastValueFrom, NEVER, of, Subject, toArray } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, ownRedis, until, useRedis } from '../tests/redis.ts'
import { type AppendOptions, append, OutcomeUnknown, type Template } from './append.ts'
import { StreamUnusable } from './open.ts'
import { Script } from './scripts.ts'

const on = useRedis()
const script = new Script<[first: number, count: number]>('append')

const packages = (count: number, after = '}}'): Template => ({
  count,
  before: '{"timestamp_producer":1753553379,"payload":{"package":',
  after,
})
const optionsOf = (b: Bench): AppendOptions => ({
  url: b.url,
  keys: b.keys,
  groups: b.groups,
  events: b.events,
})
const run = (b: Bench, requests: Template[][], more: Partial<AppendOptions> = {}) =>
  lastValueFrom(from(requests).pipe(append({ ...optionsOf(b), ...more }), toArray()))
const numbers = async (b: Bench) =>
  (await b.redis.xrange(b.keys.stream, '-', '+')).map(
    ([, fields]) => JSON.parse(fields[1] as string).payload.package as number,
  )
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

/** A request as a process would make it, with nothing that repeats it. */
async function request(b: Bench, lane: string, counter: number, count: number, last = 0, epoch?: string) {
  const of = epoch ?? ((await b.redis.hget(b.keys.head, 'epoch')) as string)
  const { before, after } = packages(1)
  return script.run(
    b.redis,
    [b.keys.stream, b.keys.head, b.keys.lane(lane)],
    [of, counter, last, count, before, after, 0],
  )
}

test('numbers are given out one after the other, and the entries carry them in that order', async () => {
  const b = await bench(on)
  const answers = await run(b, [[packages(3)], [packages(1)], [packages(2), packages(4)]])
  expect(answers.map(({ first, count }) => [first, count])).toEqual([
    [1, 3],
    [4, 1],
    [5, 6],
  ])
  expect(await numbers(b)).toEqual(upTo(10))
  expect(b.of('appended').map(({ first, count }) => [first, count])).toEqual([
    [1, 3],
    [4, 1],
    [5, 6],
  ])
})

test('an entry has the data that the template says, byte for byte, and its headers', async () => {
  const b = await bench(on)
  const headers = {
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: 'a=b',
  }
  await run(b, [[{ ...packages(2, ',"text":"grüße 🚚"}}'), headers }, packages(1)]])
  const fields = (await b.redis.xrange(b.keys.stream, '-', '+')).map(([, found]) => found)
  expect(fields[0]).toEqual([
    'data',
    '{"timestamp_producer":1753553379,"payload":{"package":1,"text":"grüße 🚚"}}',
    'traceparent',
    headers.traceparent,
    'tracestate',
    'a=b',
  ])
  expect(fields[1]?.slice(2)).toEqual(fields[0]?.slice(2))
  expect(fields[2]).toEqual(['data', '{"timestamp_producer":1753553379,"payload":{"package":3}}'])
})

test('a repeated request gets its first answer, and nothing is appended twice', async () => {
  const b = await bench(on)
  await b.fill(1)
  expect(await request(b, 'lane', 1, 3)).toEqual([2, 3])
  await b.fill(1)
  expect(await request(b, 'lane', 1, 3)).toEqual([2, 3])
  expect(await numbers(b)).toEqual(upTo(5))
})

test('a late first copy of a request that was repeated and followed by another is refused', async () => {
  const b = await bench(on)
  await b.fill(1)
  await request(b, 'lane', 1, 3)
  await request(b, 'lane', 2, 3)
  await expect(request(b, 'lane', 1, 3)).rejects.toThrow('STALE 1 after 2')
  expect(await numbers(b)).toEqual(upTo(7))
})

test('lanes share the numbers, and one lane knows nothing of the counters of another', async () => {
  const b = await bench(on)
  const lanes = [1, 2, 3].map(() => run(b, Array(20).fill([packages(5)])))
  const answers = (await Promise.all(lanes)).flat()
  expect(await numbers(b)).toEqual(upTo(300))
  const given = answers.flatMap(({ first, count }) => upTo(count).map(n => first + n - 1))
  expect(given.sort((x, y) => x - y)).toEqual(upTo(300))
})

test('two producers with one limit stop at it together, and a restart goes no further', async () => {
  const b = await bench(on)
  const both = await Promise.all([1, 2].map(() => run(b, Array(10).fill([packages(7)]), { last: 50 })))
  expect(both.flat().reduce((sum, { count }) => sum + count, 0)).toBe(50)
  expect(await run(b, [[packages(7)]], { last: 50 })).toMatchObject([{ first: 51, count: 0 }])
  expect(await numbers(b)).toEqual(upTo(50))
})

test('a lane is forgotten after a day, not never', async () => {
  const b = await bench(on)
  await b.fill(1)
  await request(b, 'lane', 1, 1)
  const ttl = await b.redis.pttl(b.keys.lane('lane'))
  expect(ttl).toBeGreaterThan(23 * 3600_000)
  expect(ttl).toBeLessThanOrEqual(24 * 3600_000)
})

test('payloads of 64 KB arrive whole', async () => {
  const b = await bench(on)
  const text = 'ä'.repeat(32 * 1024)
  await run(b, [[packages(30, `,"text":"${text}"}}`)]])
  const [[, fields] = ['', []]] = await b.redis.xrevrange(b.keys.stream, '+', '-', 'COUNT', 1)
  expect(JSON.parse(fields[1] as string).payload).toEqual({ package: 30, text })
})

test('when the stream begins a new life, the request is made there', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const requests = new Subject<Template[]>()
  const answers: unknown[] = []
  const producer = requests.pipe(append(optionsOf(b))).subscribe(answer => answers.push(answer))
  requests.next([packages(5)])
  await until(() => answers.length === 1, 'the first answer')
  await redis.flushall()
  requests.next([packages(2)])
  await until(() => answers.length === 2, 'the answer in the new life')
  producer.unsubscribe()
  expect(answers).toMatchObject([
    { first: 1, count: 5 },
    { first: 1, count: 2 },
  ])
  const [one, two] = answers as { epoch: string }[]
  expect(one?.epoch).not.toBe(two?.epoch)
  expect(await numbers(b)).toEqual([1, 2])
  expect(b.of('opened').map(({ created }) => created)).toEqual([true, true])
})

test('a lane left over from an earlier life answers nothing in the new one', async () => {
  const b = await bench(on)
  await b.fill(1)
  await request(b, 'lane', 7, 100)
  await b.redis.unlink(b.keys.stream, b.keys.head)
  await b.fill(1)
  expect(await request(b, 'lane', 7, 4)).toEqual([2, 4])
})

test('a stream that was deleted under its head is no new one: it is said, and nothing is appended', async () => {
  const b = await bench(on)
  await b.fill(3)
  await b.redis.del(b.keys.stream)
  await expect(run(b, [[packages(1)]])).rejects.toThrow(StreamUnusable)
  const lane = randomUUID()
  await expect(request(b, lane, 1, 1)).rejects.toThrow('STREAMGONE')
  expect(await b.redis.exists(b.keys.stream, b.keys.lane(lane))).toBe(0)
})

test('a full Redis refuses, appends nothing, and takes the same request once there is room', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  await b.fill(1)
  await redis.config('SET', 'maxmemory', '1mb')
  const answer = run(b, [[packages(3)]])
  await until(() => b.of('restarting').length >= 2, 'two refusals')
  expect(String(b.of('restarting')[0]?.error)).toContain('OOM')
  expect(await numbers(b)).toEqual([1])
  await redis.config('SET', 'maxmemory', '0')
  expect(await answer).toMatchObject([{ first: 2, count: 3 }])
  expect(await numbers(b)).toEqual(upTo(4))
})

/** A way to Redis whose replies to the first `lost` appends are cut off with the connection. */
async function losingReplies(port: number, lost: number): Promise<string> {
  const proxy = createServer(client => {
    const redis = new Socket().connect(port, '127.0.0.1')
    let losing = false
    client.on('data', bytes => {
      if (lost > 0 && bytes.includes(':lane:')) losing = true
      redis.write(bytes)
    })
    redis.on('data', bytes => {
      if (!losing || /NOSCRIPT/.test(bytes.toString())) return void client.write(bytes)
      lost--
      client.destroy()
      redis.destroy()
    })
    for (const [one, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void proxy.close())
  await until(() => proxy.listening, 'the proxy listens')
  return `redis://127.0.0.1:${(proxy.address() as { port: number }).port}`
}

test('replies that are lost with their connections cost a repetition each, and no number', async () => {
  const b = await bench(on)
  const url = await losingReplies(on.server.port, 3)
  const answers = await run(b, [[packages(4)], [packages(4)]], { url })
  expect(answers.map(({ first, count }) => [first, count])).toEqual([
    [1, 4],
    [5, 4],
  ])
  expect(await numbers(b)).toEqual(upTo(8))
  expect(b.of('restarting')).toHaveLength(3)
})

test('a request that is given up while its outcome is unknown says so', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const stop = new AbortController()
  const answer = run(b, [[packages(1)]], { signal: stop.signal })
  await answer
  await server.kill()
  const late = run(b, [[packages(1)]], { signal: stop.signal })
  const refused = expect(late).rejects.toThrow(OutcomeUnknown)
  await until(() => b.of('restarting').length > 0, 'an attempt that failed')
  stop.abort()
  await refused
})

test('who unsubscribes leaves no connection behind, not even in the middle of a request', async () => {
  const b = await bench(on)
  const name = 'conveyor-append'
  const clients = async () => String(await b.redis.client('LIST')).split(`name=${name} `).length - 1
  await firstValueFrom(concat(of([packages(1)]), NEVER).pipe(append(optionsOf(b))))
  await until(async () => (await clients()) === 0, 'the connection of a finished producer is closed')
  for (let i = 0; i < 10; i++) {
    const producer = concat(of([packages(1)]), NEVER)
      .pipe(append(optionsOf(b)))
      .subscribe()
    await new Promise(setImmediate)
    producer.unsubscribe()
  }
  const opened = () => b.of('opened').length
  await until(
    async () => (opened() >= 11 ? true : (await clients()) === 0),
    'connections are opened or closed',
  )
  await until(async () => (await clients()) === 0, 'no connection is left', 3000)
  const given = (await numbers(b)).length
  expect(b.of('appended').length).toBeLessThanOrEqual(given)
})
