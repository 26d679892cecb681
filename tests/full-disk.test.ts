import { execFile } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { failAt, type Pipeline } from '@conveyor/chaos'
import { describe, expect, onTestFinished, test } from 'vitest'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'

const run = promisify(execFile)
const MAX_UNFLUSHED = 64 * 1024
const BATCH = 500
const LINE = 80 // bytes at most
const SETTINGS = { MAX_UNFLUSHED_BYTES: `${MAX_UNFLUSHED}`, BATCH: `${BATCH}`, MAX_HELD: `${BATCH}` }

/** Puts the output on a file system of its own. Its size or mode is changed by mounting it again. */
async function ownDisk({ outputDir }: Pipeline, options: string): Promise<void> {
  await mkdir(outputDir)
  await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', outputDir])
  onTestFinished(async () => void (await run('umount', ['--lazy', outputDir])))
}

const remount = ({ outputDir }: Pipeline, options: string) =>
  run('mount', ['-o', `remount,${options}`, outputDir])

// Only root may mount; what an error of a write or an fdatasync leads to is tested for everybody below.
describe.runIf(process.getuid?.() === 0)('a real file system', () => {
  test('that is full: output waits in Redis, reading stops, and all goes on when there is space', async () => {
    const pipeline = await startPipeline(SETTINGS)
    await ownDisk(pipeline, 'size=256k')
    const consumers = pipeline.consumers(['c1', 'c2'])
    pipeline.producer(20_000)
    for (const consumer of consumers) await consumer.logged('output cannot be written')
    const full = await pipeline.when(
      state => state.consumers.every(({ unflushed }) => unflushed > MAX_UNFLUSHED),
      'both consumers wait for the disk',
    )
    const later = await pipeline.when(
      state => state.consumers.every(({ beat }, i) => beat > (full.consumers[i]?.beat ?? 0) + 10),
      'ten beats have passed',
    )
    expect(later.lag + later.pending).toBeGreaterThan(0)
    for (const { id, output, unflushed } of later.consumers) {
      const file = await readFile(join(await pipeline.runFolder(), `consumer_${id}.txt`))
      // What was in hand when the limit was passed is still settled, and one read may be under way. Redis may hold more:
      // it is told ten times a second, and not while the disk refuses, what is in the file.
      expect(output - file.length).toBeLessThanOrEqual(MAX_UNFLUSHED + 2 * BATCH * LINE)
      expect(file.length, 'Redis has forgotten only what is in the file').toBeGreaterThanOrEqual(
        output - unflushed,
      )
      expect(file.subarray(0, output - unflushed).includes(0)).toBe(false)
    }
    const late = pipeline.consumer('c3')
    await late.logged('consumer started')
    await remount(pipeline, 'size=64m')
    for (const consumer of consumers) await consumer.logged('output is being written again')
    await pipeline.expectExactlyOnce(20_000)
  })

  test('that is read-only at the start of a run, and of a process', async () => {
    const pipeline = await startPipeline(SETTINGS)
    await ownDisk(pipeline, 'size=64m,ro')
    for (const consumer of pipeline.consumers(['c1', 'c2'])) await consumer.logged('session lost')
    pipeline.producer(2000)
    await remount(pipeline, 'rw')
    await pipeline.drained(2000)
    await pipeline.stop()

    await remount(pipeline, 'ro')
    const again = pipeline.consumers(['c1', 'c2'])
    pipeline.producer(4000)
    for (const consumer of again)
      expect(`${(await consumer.logged('output cannot be written')).reason}`).toContain('EROFS')
    await remount(pipeline, 'rw')
    await pipeline.expectExactlyOnce(4000)
  })
})

test('an fdatasync that fails and loses what was written: it is written again from Redis', async () => {
  const pipeline = await startPipeline()
  const failing = pipeline.consumer('c1', failAt('before datasync file', 3, 'EIO', 6))
  pipeline.producer(5000, { RATE: '2500' })
  await failing.logged('output cannot be written')
  await failing.logged('output is being written again')
  await pipeline.expectExactlyOnce(5000)
  expect(failing.lines('session lost')).toEqual([])
})

test('an fdatasync that fails and a kill before it is made up for', async () => {
  const pipeline = await startPipeline(QUICK_DEATH)
  const failing = pipeline.consumer('c1', failAt('before datasync file', 3, 'EIO', 1_000_000))
  await failing.logged('session opened')
  pipeline.consumer('c2')
  pipeline.producer(5000, { RATE: '2500' })
  await failing.logged('output cannot be written')
  await failing.kill()
  await pipeline.expectExactlyOnce(5000)
})
