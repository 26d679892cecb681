import { readOutput } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { startPipeline } from './start-pipeline.ts'

test('a destroyed group stops everybody with the reason, and nothing is doubled', async () => {
  const pipeline = await startPipeline()
  const { stream, group } = pipeline.keys
  const services = [
    ...pipeline.consumers(['c1', 'c2', 'c3']),
    pipeline.producer(0, { RATE: '2000', TRIM_INTERVAL_MS: '100' }),
  ]
  await pipeline.committed(1000)
  await pipeline.client.xgroup('DESTROY', stream, group)
  for (const service of services) {
    expect(await service.ended(), service.lastWords()).toEqual({ code: 1, signal: null })
    expect(service.log.at(-1)).toMatchObject({
      level: 60,
      msg: `consumer group ${group} was destroyed: creating it again would deliver packages twice; restore it, or start a new run (--fresh)`,
    })
  }
  const again = pipeline.consumer('c1')
  expect(await again.ended()).toEqual({ code: 1, signal: null })
  expect((await pipeline.inspect()).group, 'nobody created it again').toBe(false)

  await pipeline.flush()
  const { done } = await pipeline.inspect()
  const { numbers, strange } = await readOutput(await pipeline.runFolder())
  expect(strange).toEqual([])
  expect([...numbers].filter(([, where]) => where.length !== 1)).toEqual([])
  expect(numbers.size).toBe(done)
})
