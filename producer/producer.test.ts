import { createLog } from '@conveyor/service'
import { StreamUnusable } from '@conveyor/stream'
import { expect, onTestFinished, test } from 'vitest'
import { newName, until, useRedis } from '../tests/redis.ts'
import { producerConfig } from './config.ts'
import { Producer } from './producer.ts'

const on = useRedis()

/** A producer at work on a stream of its own; stopped when the test ends. */
function start(env: NodeJS.ProcessEnv) {
  const stream = newName()
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
