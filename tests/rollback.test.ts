import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startPipeline } from './start-pipeline.ts'

const CONSUMERS = ['c1', 'c2', 'c3']

test('Redis comes back without its last moments: files are cut back, numbers stay exactly once', async () => {
  const pipeline = await startPipeline()
  const consumers = pipeline.consumers(CONSUMERS)
  pipeline.producer(0, { RATE: '2000' })
  for (let time = 0; time < 2; time++) {
    const before = await pipeline.inspect()
    await pipeline.committed(before.done + 500)
    const copy = await pipeline.copyRedisData()
    const { done } = await pipeline.inspect()
    await pipeline.committed(done + 2000)
    await pipeline.rollBackRedis(copy)
    for (const consumer of consumers) await consumer.logged('session opened', { count: 2 + time })
  }
  const { done } = await pipeline.inspect()
  await pipeline.committed(done + 1000)
  const cuts = consumers.flatMap(consumer => consumer.lines('Redis lost its last moments'))
  expect(cuts.length).toBeGreaterThanOrEqual(2)
  await pipeline.expectExactlyOnce(await pipeline.endProducing())

  for (const { from, kept } of cuts)
    expect((await readFile(`${kept}`)).length).toBeGreaterThanOrEqual(from as number)
  const rollback = await readdir(join(await pipeline.runFolder(), 'rollback'))
  expect(rollback.filter(name => name.includes('-longer-')).length).toBeGreaterThanOrEqual(2)
})

test('a producer that had finished gives the forgotten numbers out again', async () => {
  const pipeline = await startPipeline()
  const consumers = pipeline.consumers(CONSUMERS)
  pipeline.producer(3000, { RATE: '1500' })
  await pipeline.committed(500)
  const copy = await pipeline.copyRedisData()
  await pipeline.drained(3000)
  await pipeline.rollBackRedis(copy)
  for (const consumer of consumers) await consumer.logged('session opened', { count: 2 })
  await pipeline.expectExactlyOnce(3000)
})

test('all were stopped when Redis lost its last moments', async () => {
  const pipeline = await startPipeline()
  pipeline.consumers(CONSUMERS)
  pipeline.producer(3000, { RATE: '1500' })
  await pipeline.committed(500)
  const copy = await pipeline.copyRedisData()
  await pipeline.drained(3000)
  await pipeline.stop()
  await pipeline.rollBackRedis(copy)
  pipeline.consumer('c9') // none of those whose files are too long
  pipeline.producer(3000)
  await pipeline.expectExactlyOnce(3000)
})
