import { expect, test } from 'vitest'
import { crash, expectExactlyOnce, POINTS, STEPS, scripts, startCrashPipeline } from './crash-points.ts'

test('a producer is killed at each of its steps and started again', async () => {
  const pipeline = await startCrashPipeline()
  pipeline.consumers(['c1', 'c2'])
  for (const point of POINTS.producer)
    await crash(env => pipeline.producer(0, { RATE: '1000', ...env }), point)
  pipeline.producer(0, { RATE: '1000' })
  await expectExactlyOnce(pipeline)
})

test('no script is forgotten', async () => {
  const others = (await scripts()).filter(name => !STEPS.has(`before ${name}`))
  expect(others, 'of commands').toEqual(['forget', 'purge', 'replay', 'retry-now'])
})
