import { hostname } from 'node:os'
import { failAt } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'

const REFUSED = { code: 1, signal: null }

test('a second process under a live id is refused, and told who has it', async () => {
  const pipeline = await startPipeline()
  pipeline.producer(0, { RATE: '1000' })
  const first = pipeline.consumer('c1')
  await first.logged('session opened')
  for (let attempt = 0; attempt < 2; attempt++) {
    const second = pipeline.consumer('c1')
    expect(await second.ended()).toEqual(REFUSED)
    expect(second.log.at(-1)?.msg).toBe(
      `consumer id c1 is in use by the live process ${hostname()}/${first.pid}: stop that one, or choose another id`,
    )
  }
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
  expect(first.lines('session opened')).toHaveLength(1)
})

test('a second process takes the id of a stopped one over, which ends when it continues', async () => {
  const pipeline = await startPipeline(QUICK_DEATH)
  pipeline.producer(0, { RATE: '2000' })
  const first = pipeline.consumer('c1', failAt('before commit', 20, 'SIGSTOP'))
  await first.stopped()
  const second = pipeline.consumer('c1')
  await second.logged('session opened')
  const { done } = await pipeline.inspect()
  await pipeline.committed(done + 500)
  first.send('SIGCONT')
  expect(await first.ended()).toEqual(REFUSED)
  expect(first.log.at(-1)?.msg).toContain(`in use by the live process ${hostname()}/${second.pid}`)
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
})

for (const step of ['before write file', 'before datasync file', 'after datasync file'] as const) {
  test(`a process stopped ${step} does no harm after a second one has written more`, async () => {
    const pipeline = await startPipeline(QUICK_DEATH)
    pipeline.producer(0, { RATE: '2000' })
    const first = pipeline.consumer('c1', failAt(step, 3, 'SIGSTOP'))
    await first.stopped()
    const second = pipeline.consumer('c1')
    await second.logged('session opened')
    const { done } = await pipeline.inspect()
    await pipeline.committed(done + 500)
    first.send('SIGCONT')
    expect(await first.ended()).toEqual(REFUSED)
    await pipeline.expectExactlyOnce(await pipeline.endProducing())
  })
}
