import { startProxy } from '@conveyor/chaos'
import { createLog } from '@conveyor/service'
import { StreamUnusable } from '@conveyor/stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { newName, until, useRedis } from '../tests/redis.ts'
import { producerConfig } from './config.ts'
import { parseMix, payloadOf } from './mix.ts'
import { Producer } from './producer.ts'

const on = useRedis()

/** A producer at work on a stream, by default one of its own; stopped when the test ends. */
function start(env: NodeJS.ProcessEnv, stream = newName()) {
  const config = producerConfig({ REDIS_URL: on.server.url, STREAM: stream, RATE: 'max', ...env })
  const producer = new Producer(config, createLog('test', 'silent'))
  const stop = new AbortController()
  const ended = producer.run(stop.signal)
  ended.catch(() => {})
  onTestFinished(async () => {
    stop.abort()
    await ended.catch(() => {})
  })
  return { producer, stream, stop, ended }
}

test('gives out packages up to the last one, in order and without a gap', async () => {
  const { producer, stream } = start({ PACKAGES: '1234' })
  await until(() => producer.status().finished, 'the end')
  const entries = await on.redis.xrange(stream, '-', '+')
  const numbers = entries.map(([, fields]) => JSON.parse(fields[1] as string).payload.package)
  expect(numbers).toEqual(Array.from({ length: 1234 }, (_, n) => n + 1))
  expect(producer.status()).toMatchObject({ sequence: 1234, produced: 1234, backlog: 1234 })
})

test('entries have the format that other tools read', async () => {
  const { producer, stream } = start({ PACKAGES: '1' })
  await until(() => producer.status().finished, 'the end')
  const [[, fields]] = (await on.redis.xrange(stream, '-', '+')) as [[string, string[]]]
  expect(fields).toEqual([
    'data',
    expect.stringMatching(/^\{"timestamp_producer":\d{10},"payload":\{"package":1\}\}$/),
  ])
})

test('waits when the slowest group is as far behind as allowed, and goes on when it catches up', async () => {
  const { producer, stream } = start({ MAX_BACKLOG: '700', GROUPS: 'quick,slow' })
  await until(() => producer.status().sequence === 700, 'the limit')
  await until(() => producer.status().backpressure, 'waiting')
  await on.redis.xreadgroup('GROUP', 'quick', 'c', 'COUNT', 700, 'STREAMS', stream, '>')
  await on.redis.xreadgroup('GROUP', 'slow', 'c', 'COUNT', 300, 'STREAMS', stream, '>')
  await until(() => producer.status().sequence === 1000, 'room for 300 more')
  expect(producer.status()).toMatchObject({ slowestGroup: 'slow' })
  expect(await on.redis.xlen(stream)).toBe(1000)
})

test('trims what all groups have settled, and counts it', async () => {
  const { producer, stream } = start({ PACKAGES: '1000', TRIM_INTERVAL_MS: '50' })
  await until(() => producer.status().finished, 'the end')
  await on.redis.xreadgroup('GROUP', 'consumer_group', 'c', 'COUNT', 1000, 'STREAMS', stream, '>')
  const ids = (await on.redis.xrange(stream, '-', '+')).map(([id]) => id)
  expect(await on.redis.xlen(stream)).toBe(1000)
  await on.redis.xack(stream, 'consumer_group', ...ids)
  await until(async () => (await on.redis.xlen(stream)) === 50, 'the trim')
  await until(() => producer.status().trims.removed === 950, 'its count')
})

test('is ready once Redis has answered', async () => {
  const { producer } = start({})
  await until(() => producer.ready, 'ready')
})

test('ends with the way out when its group is destroyed', async () => {
  const { producer, stream, ended } = start({ RATE: '100' })
  await until(() => producer.status().produced > 0, 'the first package')
  await on.redis.xgroup('DESTROY', stream, 'consumer_group')
  await expect(ended).rejects.toThrow(StreamUnusable)
})

test('finishes the request under way when it is stopped', async () => {
  const { producer, stream, stop, ended } = start({})
  await until(() => producer.status().produced > 2000, 'some packages')
  stop.abort()
  await ended
  expect(await on.redis.xlen(stream)).toBe(producer.status().produced)
})

describe('with a mix', () => {
  const MIX = 'success=70,retry=10,fail=5,order=15'
  const mixed = { MIX, SEED: '42' }
  const payloads = async (stream: string) =>
    (await on.redis.xrange(stream, '-', '+')).map(([, fields]) => JSON.parse(fields[1] as string).payload)
  const expected = (last: number) =>
    Array.from({ length: last }, (_, i) => ({ package: i + 1, ...payloadOf(parseMix(MIX), 42, i + 1) }))

  test('says which mix and seed, and gives out that', async () => {
    const { producer, stream } = start({ ...mixed, PACKAGES: '1200' })
    await until(() => producer.status().finished, 'the end')
    expect(producer.status().mix).toEqual({ weights: MIX, seed: 42 })
    expect(await payloads(stream)).toEqual(expected(1200))
  })

  test('goes on after a restart as if there had been none, also where the last request was cut short', async () => {
    const first = start({ ...mixed, PACKAGES: '333' })
    await until(() => first.producer.status().finished, 'the end')
    first.stop.abort()
    await first.ended
    const second = start(mixed, first.stream)
    await until(() => second.producer.status().produced > 2000, 'some packages')
    second.stop.abort()
    await second.ended
    const { sequence } = second.producer.status()
    const third = start({ ...mixed, RATE: '500', PACKAGES: `${sequence + 100}` }, first.stream)
    await until(() => third.producer.status().finished, 'the end')
    expect(await payloads(first.stream)).toEqual(expected(sequence + 100))
  })

  test('repeats a request whose reply was lost with what it said first', async () => {
    const proxy = await startProxy({ target: { host: '127.0.0.1', port: on.server.port } })
    onTestFinished(() => proxy.close())
    const { producer, stream } = start({ ...mixed, REDIS_URL: proxy.url, RATE: '1000', PACKAGES: '600' })
    for (const lost of [1, 2, 3]) {
      await proxy.dropNextReply(request => request.includes(':lane:'))
      await until(() => producer.status().produced >= lost * 100, 'it goes on')
    }
    await until(() => producer.status().finished, 'the end')
    expect(await payloads(stream)).toEqual(expected(600))
  })
})
