import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startPipeline, startWire } from './start-pipeline.ts'

const CONSUMERS = ['c1', 'c2', 'c3']

test('Redis killed under load and started again, three times', async () => {
  const pipeline = await startPipeline()
  pipeline.consumers(CONSUMERS)
  pipeline.producer(0, { RATE: '4000' })
  for (let crash = 0; crash < 3; crash++) {
    const { done } = await pipeline.inspect()
    await pipeline.committed(done + 1000)
    await pipeline.crashRedis()
  }
  const { done } = await pipeline.inspect()
  await pipeline.committed(done + 1000)
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
})

test('a Redis that stands still for 5 s is nobody’s death', async () => {
  const pipeline = await startPipeline()
  const consumers = pipeline.consumers(CONSUMERS)
  pipeline.producer(0, { RATE: '1000' })
  for (const consumer of consumers) await consumer.logged('session opened')
  await pipeline.committed(500)
  pipeline.pauseRedis()
  await sleep(5000) // as long as a command may wait for its answer
  pipeline.resumeRedis()
  const { done } = await pipeline.inspect()
  await pipeline.committed(done + 3000)
  const { claimed } = await pipeline.expectExactlyOnce(await pipeline.endProducing())
  expect(claimed).toBe(0)
  for (const consumer of consumers) expect(consumer.lines('took over')).toEqual([])
})

test('connections that have died without a word are found out', async () => {
  const pipeline = await startPipeline({ COMMAND_TIMEOUT_MS: '1000' })
  const wire = await startWire(pipeline)
  const onWire = { REDIS_URL: wire.url }
  const consumer = pipeline.consumer('c1', onWire)
  pipeline.consumer('c2')
  const producer = pipeline.producer(0, { RATE: '1000', ...onWire })
  for (let time = 1; time <= 3; time++) {
    await consumer.logged('session opened', { count: time })
    const { done } = await pipeline.inspect()
    await pipeline.committed(done + 500)
    wire.blackhole()
    await consumer.logged('session lost', { count: time })
    await producer.logged('lost touch with Redis', { count: time })
  }
  await consumer.logged('session opened', { count: 4 })
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
})
