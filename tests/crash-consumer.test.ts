import { test } from 'vitest'
import { crash, expectExactlyOnce, leaveLink, POINTS, startCrashPipeline } from './crash-points.ts'

test('a consumer is killed at each of its steps and started again, with nobody to help', async () => {
  const pipeline = await startCrashPipeline()
  const start = (env: NodeJS.ProcessEnv = {}) => pipeline.consumer('c1', env)
  pipeline.producer(0, { RATE: '300' })
  await pipeline.when(({ sequence }) => sequence > 0, 'there is a run')
  for (const point of POINTS.start) {
    await leaveLink(pipeline, 'c1')
    await crash(start, point)
  }
  for (const point of POINTS.work) await crash(start, point)
  const last = await pipeline.endProducing()
  const startAndStop = (env: NodeJS.ProcessEnv) => {
    const consumer = start(env)
    const idle = Promise.all([consumer.logged('session opened'), pipeline.drained(last)])
    void idle.then(() => consumer.send('SIGTERM'))
    return consumer
  }
  for (const point of POINTS.stop) await crash(startAndStop, point)
  start()
  await expectExactlyOnce(pipeline)
})
