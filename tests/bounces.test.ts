import { strictEqual } from 'node:assert'
import type { Pipeline, ServiceProcess } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { OutputFollower } from './follow-output.ts'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'

const PACKAGES = 100_000
const BOUNCES = 3
const IDS = ['c1', 'c2', 'c3']

type Part = 'Redis' | 'the producer' | 'the consumers'
const CELLS = (['Redis', 'the producer', 'the consumers'] as const).flatMap(part =>
  (['clean', 'hard'] as const).map(way => ({ part, way })),
)

/**
 * The one who follows reads lines as soon as they are written, before they are known to be on disk. A power cut may
 * take such a line away for a while: Redis still has it then, because it forgets only what is on disk, and it is
 * written again, the same at the same place. With `appendfsync everysec` Redis may lose it as well; then the file is
 * cut back, and what was read ahead did not stay. Here neither may happen: a process or a Redis that is killed takes
 * nothing back that was written.
 */
test.for(CELLS)('$way: $part bounced during 100,000 packages, and somebody reads along', async cell => {
  const pipeline = await startPipeline({ ...QUICK_DEATH, MAX_BACKLOG: '10000', TRIM_INTERVAL_MS: '500' })
  pipeline.consumers(IDS)
  pipeline.producer(0)
  const follower = new OutputFollower(pipeline.outputDir)
  for (let bounce = 0; bounce < BOUNCES; bounce++) {
    await follower.has(follower.lines + PACKAGES / 5)
    await bounceOnce(pipeline, cell)
  }
  await follower.has(PACKAGES)
  const last = await pipeline.endProducing()
  await pipeline.expectExactlyOnce(last)
  await follower.end()
  strictEqual(follower.lines, last)
  expect(pipeline.services.length).toBe(1 + IDS.length + BOUNCES * restarted(cell))
})

const restarted = ({ part }: { part: Part }) =>
  part === 'Redis' ? 0 : part === 'the producer' ? 1 : IDS.length

async function bounceOnce(pipeline: Pipeline, { part, way }: (typeof CELLS)[number]): Promise<void> {
  const end = (service: ServiceProcess) => (way === 'hard' ? service.kill() : pipeline.stop([service]))
  const running = (name: string) => pipeline.services.find(one => one.name === name && one.alive)
  if (part === 'Redis') return pipeline.restartRedis(way === 'hard' ? 'SIGKILL' : 'SIGTERM')
  if (part === 'the producer') {
    await end(running('producer') as ServiceProcess)
    pipeline.producer(0)
    return
  }
  for (const id of IDS) {
    await end(running(id) as ServiceProcess)
    await pipeline.consumer(id).logged('session opened')
  }
}
