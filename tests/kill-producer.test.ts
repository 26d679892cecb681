import { produced, sha } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { startPipeline, startWire } from './start-pipeline.ts'

const isAppend = (request: string) => request.includes(sha('append'))

test('a producer killed between request and reply leaves neither gap nor double', async () => {
  const pipeline = await startPipeline()
  const wire = await startWire(pipeline)
  pipeline.consumers(['c1', 'c2'])
  const first = pipeline.producer(4000, { RATE: '2000' })
  await pipeline.committed(100)
  await first.kill()
  for (let round = 0; round < 4; round++) {
    const before = (await pipeline.inspect()).sequence
    const lost = wire.dropNextReply(isAppend, { thenCut: false })
    const producer = pipeline.producer(4000, { RATE: '100', REDIS_URL: wire.url })
    await lost
    await producer.kill()
    expect((await pipeline.inspect()).sequence, 'the request was executed').toBeGreaterThan(before)
  }
  pipeline.producer(4000)
  await pipeline.expectExactlyOnce(4000)
})

test('a producer repeats a request whose reply was lost, and nothing is doubled', async () => {
  const pipeline = await startPipeline()
  const wire = await startWire(pipeline)
  pipeline.consumers(['c1', 'c2'])
  const producer = pipeline.producer(4000, { RATE: '2000', REDIS_URL: wire.url })
  await pipeline.committed(100)
  for (let round = 0; round < 4; round++) {
    await wire.dropNextReply(isAppend)
    await wire.cutMidReply(isAppend)
  }
  await pipeline.drained(4000)
  expect(await produced(producer)).toBe(4000)
  expect(producer.lines('lost touch with Redis').length).toBeGreaterThanOrEqual(8)
  await pipeline.expectExactlyOnce(4000)
})
