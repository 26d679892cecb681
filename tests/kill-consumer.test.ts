import { failAt, handling } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'

/** Where a consumer kills itself; the name becomes its id, so that it stands in a failure. */
const STEPS: [where: string, env: NodeJS.ProcessEnv][] = [
  ['read-first', handling({ does: 'SIGKILL', nth: 1 })],
  ['read', handling({ does: 'SIGKILL', nth: 150 })],
  ['commit-first', failAt('after commit', 1)],
  ['commit', failAt('after commit', 4)],
  ['before-write-first', failAt('before write file', 1)],
  ['before-write', failAt('before write file', 3)],
  ['before-fdatasync-first', failAt('before datasync file', 1)],
  ['before-fdatasync', failAt('before datasync file', 4)],
  ['before-trim-first', failAt('after datasync file', 1)],
  ['before-trim', failAt('after datasync file', 4)],
]
const KILLED = { code: null, signal: 'SIGKILL' }

test('peers take over from a consumer that is killed at any step', async () => {
  const pipeline = await startPipeline(QUICK_DEATH)
  pipeline.consumers(['c1', 'c2'])
  pipeline.producer(0, { RATE: '1500' })
  for (const [where, env] of STEPS) {
    expect(await pipeline.consumer(where, env).ended(), where).toEqual(KILLED)
    await pipeline.when(({ consumers }) => {
      const victim = consumers.find(({ id }) => id === where)
      if (victim === undefined) return true // peers have tidied up after it, since it had written nothing
      return victim.session !== 'live' && victim.pending + victim.unflushed === 0
    }, `nothing of ${where} is left`)
  }
  const { claimed } = await pipeline.expectExactlyOnce(await pipeline.endProducing())
  expect(claimed).toBeGreaterThan(0)
})
