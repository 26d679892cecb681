import { appendFile, copyFile, link, readFile, rename, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pipeline } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'

interface Damage {
  readonly name: string
  readonly complaint: string
  /** Damages the file, `meanwhile` in the midst of it; returns how to put it right. */
  do(path: string, meanwhile: () => Promise<unknown>): Promise<() => Promise<void>>
}

const DAMAGES: Damage[] = [
  {
    name: 'cut short',
    complaint: 'was cut short',
    async do(path) {
      const whole = await readFile(path)
      await truncate(path, Math.floor(whole.length / 2))
      return () => writeFile(path, whole)
    },
  },
  {
    name: 'replaced by a copy',
    complaint: 'was replaced or removed while it was being written',
    async do(path, meanwhile) {
      const kept = join(path, '../../kept')
      await link(path, kept)
      await copyFile(path, `${path}.copy`)
      await meanwhile()
      await rename(`${path}.copy`, path)
      return () => rename(kept, path)
    },
  },
  {
    name: 'removed',
    complaint: 'was replaced or removed while it was being written',
    async do(path) {
      const kept = join(path, '../../kept')
      await link(path, kept)
      await unlink(path)
      return () => rename(kept, path)
    },
  },
  {
    name: 'written to by hand',
    complaint: 'holds bytes that no consumer wrote',
    async do(path) {
      const { length } = await readFile(path)
      await appendFile(path, 'Consumer c1 processed package 1 (timestamp: 1)\n')
      return () => truncate(path, length)
    },
  },
]

/** Waits until c1 has complained of its file and ended. */
async function expectRefusal(pipeline: Pipeline, { complaint }: Damage, path: string): Promise<void> {
  const victim = pipeline.services.filter(({ name }) => name === 'c1').at(-1)
  expect(await victim?.ended()).toEqual({ code: 1, signal: null })
  const last = victim?.log.at(-1)
  expect(last?.level).toBe(60)
  expect(last?.msg).toContain(`output file ${path} ${complaint}`)
}

test.for(DAMAGES)('a file $name: its consumer stops and says so, peers go on', async damage => {
  const pipeline = await startPipeline(QUICK_DEATH)
  const consumers = pipeline.consumers(['c1', 'c2'])
  for (const consumer of consumers) await consumer.logged('session opened')
  pipeline.producer(1000, { RATE: '2000' })
  await pipeline.drained(1000)
  const path = join(await pipeline.runFolder(), 'consumer_c1.txt')
  const putRight = await damage.do(path, async () => {})
  await expectRefusal(pipeline, damage, path)

  pipeline.producer(3000, { RATE: '2000' })
  await pipeline.drained(3000)
  await putRight()
  const mended = pipeline.consumer('c1')
  await mended.logged('session opened')
  pipeline.producer(4000, { RATE: '2000' })
  await pipeline.expectExactlyOnce(4000)
})

const UNDER_LOAD = DAMAGES.filter(({ name }) => name === 'replaced by a copy' || name === 'removed')

test.for(UNDER_LOAD)('a file $name while it is being written: nobody writes on', async damage => {
  const pipeline = await startPipeline(QUICK_DEATH)
  pipeline.consumer('c1')
  pipeline.producer(0, { RATE: '3000' })
  await pipeline.committed(1000)
  const path = join(await pipeline.runFolder(), 'consumer_c1.txt')
  const putRight = await damage.do(path, () => pipeline.committed(2000))
  await expectRefusal(pipeline, damage, path)

  const peer = pipeline.consumer('c2')
  await peer.logged("a peer's output cannot be completed")
  const { done } = await pipeline.inspect()
  await pipeline.committed(done + 500)
  await putRight()
  const mended = pipeline.consumer('c1')
  await mended.logged('session opened')
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
})
