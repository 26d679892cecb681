import { failAt } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'

// Long deadlines, so that the consumer that was stopped meets the fence before its own timers.
const SETTINGS = { ...QUICK_DEATH, COMMAND_TIMEOUT_MS: '120000' }

test('a consumer stopped with entries in hand is fenced when it continues', async () => {
  const pipeline = await startPipeline(SETTINGS)
  const victim = pipeline.consumer('c1', failAt('before commit', 5, 'SIGSTOP'))
  await victim.logged('session opened')
  pipeline.consumer('c2')
  pipeline.producer(3000, { RATE: '3000' })
  await victim.stopped()
  const taken = await pipeline.drained(3000)
  expect(taken.claimed).toBeGreaterThan(0)
  expect(taken.fenced).toBe(0)

  victim.send('SIGCONT')
  const { count } = await victim.logged('outcomes refused')
  expect((await pipeline.inspect()).fenced).toBe(count)
  await victim.logged('session opened', { count: 2 })
  pipeline.producer(5000, { RATE: '3000' })
  const share = taken.consumers.find(({ id }) => id === 'c1')?.done ?? 0
  const { consumers } = await pipeline.expectExactlyOnce(5000)
  expect(consumers.find(({ id }) => id === 'c1')?.done, 'it works again').toBeGreaterThan(share)
})

test('a consumer stopped before a write does no harm when it continues', async () => {
  const pipeline = await startPipeline(SETTINGS)
  const victim = pipeline.consumer('c1', failAt('before write file', 4, 'SIGSTOP'))
  await victim.logged('session opened')
  pipeline.consumer('c2')
  pipeline.producer(3000, { RATE: '3000' })
  await victim.stopped()
  await pipeline.drained(3000)
  victim.send('SIGCONT')
  await victim.logged('session opened', { count: 2 })
  pipeline.producer(5000, { RATE: '3000' })
  await pipeline.expectExactlyOnce(5000)
})
