import { test } from 'vitest'
import {
  crash,
  expectExactlyOnce,
  loseLastMoments,
  POINTS,
  removeLink,
  startCrashPipeline,
} from './crash-points.ts'

test('a consumer is killed at each step of looking after a peer that died', async () => {
  const pipeline = await startCrashPipeline()
  pipeline.producer(0, { RATE: '300' })
  for (const [gone, points] of [
    ['gone-1', POINTS.peer],
    ['gone-2', POINTS.peerUnknown],
  ] as const) {
    await crash(env => pipeline.consumer(gone, env), ['before write file', 1])
    await removeLink(pipeline, gone)
    for (const point of points) await crash(env => pipeline.consumer('c1', env), point)
  }
  pipeline.consumer('c1')
  await expectExactlyOnce(pipeline)
})

test('a consumer is killed at each step of cutting files back, and another goes on', async () => {
  const pipeline = await startCrashPipeline()
  pipeline.producer(0, { RATE: '500' })
  await loseLastMoments(pipeline, ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'])
  for (const [at, point] of POINTS.audit.entries())
    await crash(env => pipeline.consumer(`c${at % 2}`, env), point)
  await loseLastMoments(pipeline, ['b1'])
  for (const point of POINTS.auditOwn) await crash(env => pipeline.consumer('b1', env), point)
  pipeline.consumers(['c0', 'c1'])
  await expectExactlyOnce(pipeline)
})
