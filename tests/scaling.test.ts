import { produced, type ServiceProcess } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'

test('consumers come and go under load', async () => {
  const pipeline = await startPipeline(QUICK_DEATH)
  pipeline.producer(0, { RATE: '3000' })
  const running: ServiceProcess[] = pipeline.consumers(['c1', 'c2', 'c3'])
  for (let change = 0; change < 8; change++) {
    const added = pipeline.consumer(`c${change + 4}`)
    running.push(added)
    await added.logged('session opened')
    const { done } = await pipeline.inspect()
    await pipeline.committed(done + 500)
    const leaving = running.shift() as ServiceProcess
    if (change % 2 === 0) await pipeline.stop([leaving])
    else await leaving.kill()
  }
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
})

test('two producers share one limit', async () => {
  const pipeline = await startPipeline()
  pipeline.consumers(['c1', 'c2'])
  const producers = [pipeline.producer(20_000), pipeline.producer(20_000)]
  await pipeline.drained(20_000)
  const shares = await Promise.all(producers.map(produced))
  expect(shares.reduce((sum, share) => sum + share)).toBe(20_000)
  await pipeline.expectExactlyOnce(20_000)
})

test('what no consumer has seen is not trimmed, however late they come', async () => {
  const pipeline = await startPipeline()
  const producer = pipeline.producer(5000, { TRIM_INTERVAL_MS: '50' })
  await pipeline.when(({ sequence }) => sequence === 5000, 'all is produced')
  const trims = producer.lines('trimmed').length
  await producer.logged('trimmed', { count: trims + 3 })
  expect((await pipeline.inspect()).length).toBe(5000)
  pipeline.consumers(['c1', 'c2'])
  await pipeline.when(({ length, drained }) => drained && length <= 100, 'drained, and then trimmed')
  await pipeline.expectExactlyOnce(5000)
})
