import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { contents, type Pipeline, readOutput } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { startPipeline } from './start-pipeline.ts'

/** Waits until every consumer has joined a run after `folder`'s. */
function allJoined(pipeline: Pipeline, count: number) {
  const consumers = pipeline.services.filter(({ name }) => name !== 'producer')
  return Promise.all(consumers.map(one => one.logged('session opened', { count })))
}

test('FLUSHALL on a drained stream begins a new run beside the old one', async () => {
  const pipeline = await startPipeline()
  pipeline.consumers(['c1', 'c2'])
  pipeline.producer(2000)
  const { epoch } = await pipeline.drained(2000)
  const old = await pipeline.runFolder()
  const before = await contents(old)
  expect((await readOutput(old)).numbers.size).toBe(2000)

  await pipeline.client.flushall()
  await pipeline.when(state => state.epoch !== undefined && state.epoch !== epoch, 'a new run')
  const now = await pipeline.expectExactlyOnce(2000)
  expect(now.epoch).not.toBe(epoch)
  expect(await contents(old)).toEqual(before)
  const runs = await readdir(join(pipeline.outputDir, 'runs'))
  expect(runs.filter(name => !name.startsWith('.'))).toHaveLength(2)
})

test('FLUSHALL under load, again and again: each run is numbered from 1, old ones stay as they are', async () => {
  const pipeline = await startPipeline()
  pipeline.consumers(['c1', 'c2'])
  pipeline.producer(4000, { RATE: '2000' })
  const runs: [folder: string, files: Map<string, string>][] = []
  for (let run = 1; run <= 3; run++) {
    await pipeline.committed(500)
    await allJoined(pipeline, run)
    const folder = await pipeline.runFolder()
    await pipeline.client.flushall()
    await allJoined(pipeline, run + 1)
    runs.push([folder, await contents(folder)])
  }
  await pipeline.expectExactlyOnce(4000)
  expect(new Set(runs.map(([folder]) => folder)).size).toBe(3)
  for (const [folder, files] of runs) {
    expect(await contents(folder)).toEqual(files)
    const { numbers, strange } = await readOutput(folder)
    expect(strange).toEqual([])
    expect([...numbers].filter(([, where]) => where.length !== 1)).toEqual([])
  }
})
