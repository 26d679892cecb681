import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { handling, type Pipeline, until } from '@conveyor/chaos'
import { Lane } from '@conveyor/stream'
import { expect, test } from 'vitest'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'
import { supervise } from './supervise.ts'

/** Dead letters, without what is particular to a run. */
async function deadLetters({ client, keys }: Pipeline) {
  const entries = await client.xrangeBuffer(keys.dead, '-', '+')
  return entries.map(([, fields]) => {
    const letter = new Map<string, Buffer>()
    for (let i = 0; i < fields.length; i += 2) letter.set(`${fields[i]}`, fields[i + 1] as Buffer)
    return letter
  })
}

test('entries that are no packages become dead letters, byte for byte, and stop nothing', async () => {
  const pipeline = await startPipeline()
  const { client, keys } = pipeline
  const consumers = pipeline.consumers(['c1', 'c2'])
  for (const consumer of consumers) await consumer.logged('session opened')
  const garbage = Buffer.from([0xff, 0xfe, 0x00, 0x0a, 0x0d, 0x80, 0x7b])
  pipeline.producer(2000, { RATE: '2000' })
  await pipeline.committed(300)
  await client.xadd(keys.stream, '*', 'data', '{"payload":')
  await client.xadd(keys.stream, '*', 'greeting', 'hello')
  await client.xadd(keys.stream, '*', 'data', garbage)
  await client.xadd(
    keys.stream,
    '*',
    garbage,
    garbage,
    'data',
    '{"timestamp_producer":1,"payload":{"package":"x"}}',
  )
  await pipeline.when(({ deadLetters }) => deadLetters === 4, 'four dead letters')
  const state = await pipeline.expectExactlyOnce(2000)
  expect(state.dead).toBe(4)
  const letters = await deadLetters(pipeline)
  const reasons = letters.map(letter => `${letter.get('reason')}`).sort()
  expect(reasons).toEqual(['no data', 'no package number', 'unparseable', 'unparseable'])
  expect(letters.filter(letter => letter.get('data')?.equals(garbage))).toHaveLength(1)
  expect(letters.filter(letter => letter.get('greeting')?.equals(Buffer.from('hello')))).toHaveLength(1)
})

test('entries of a megabyte pass like all others', async () => {
  const pipeline = await startPipeline()
  const { keys } = pipeline
  pipeline.consumers(['c1', 'c2'])
  pipeline.producer(1000, { RATE: '500' })
  await pipeline.committed(10)
  const lane = new Lane({ url: pipeline.redis.url, keys, groups: [keys.group] })
  const text = 'ü'.repeat(500_000)
  const before = `{"timestamp_producer":1753553379,"payload":{"text":"${text}","package":`
  for (let n = 0; n < 24; n++) await lane.append([{ count: 1, before, after: '}}' }])
  lane.close()
  await pipeline.expectExactlyOnce(1000)
})

test('a package whose handler blocks for longer than death takes is committed in the end', async () => {
  const pipeline = await startPipeline() // a silent consumer is dead after 1 s
  const journal = join(pipeline.dir, 'starts')
  const blocking = handling({ does: 'block', package: 50, ms: 5000 }, journal)
  const consumers = pipeline.consumers(['c1', 'c2', 'c3'], blocking)
  for (const consumer of consumers) await consumer.logged('session opened')
  pipeline.producer(100)
  const { dead, fenced } = await pipeline.expectExactlyOnce(100)
  const starts = (await readFile(journal, 'utf8')).trim().split('\n')
  expect(dead).toBe(0)
  expect(fenced, 'it was taken over while it was being handled').toBeGreaterThan(0)
  expect(starts.length).toBeLessThanOrEqual(4)
})

test('a package whose handler throws at every attempt is a dead letter', async () => {
  const pipeline = await startPipeline({ RETRY_DELAY_MS: '20' })
  pipeline.consumers(['c1', 'c2'], handling({ does: 'throw', package: 77 }))
  pipeline.producer(1000)
  const { dead } = await pipeline.expectExactlyOnce(1000, [77])
  expect(dead).toBe(1)
  const [letter] = await deadLetters(pipeline)
  expect(`${letter?.get('reason')}: ${letter?.get('detail')}`).toBe(
    'handler failed: TypeError: no such thing',
  )
  expect(`${letter?.get('deliveries')}`).toBe('1')
  expect(`${letter?.get('attempts')}`).toBe('5')
})

test('a package that kills each process that handles it is a dead letter, and its neighbours are none', async () => {
  const pipeline = await startPipeline({ ...QUICK_DEATH, MAX_DELIVERIES: '4' })
  const journal = join(pipeline.dir, 'starts')
  const deadly = handling({ does: 'crash', package: 500 }, journal)
  const consumers = ['c1', 'c2'].map(id => supervise(pipeline, id, deadly))
  pipeline.producer(1000)
  const { dead } = await pipeline.expectExactlyOnce(1000, [500])
  expect(dead).toBe(1)
  const starts = (await readFile(journal, 'utf8')).trim().split('\n')
  expect(starts.map(line => line.split(' ')[1])).toEqual(['1', '2', '3', '4'])
  expect(consumers.reduce((sum, one) => sum + one.starts, 0)).toBe(2 + 4)
  const letters = await deadLetters(pipeline)
  expect(letters.map(letter => `${letter.get('package')}: ${letter.get('reason')}`)).toEqual([
    '500: too many deliveries',
  ])
  expect(`${letters[0]?.get('data')}`).toContain('"package":500}')
})

test('entries that are handed over one at a time do not keep new ones waiting', async () => {
  const pipeline = await startPipeline({ ...QUICK_DEATH, BATCH: '20' })
  const { client, keys } = pipeline
  const slow = (ms: number) => handling({ does: 'wait', ms })
  pipeline.producer(20)
  await pipeline.when(({ sequence }) => sequence === 20, 'all is produced')
  for (let deliveries = 1; deliveries <= 2; deliveries++) {
    const victim = pipeline.consumer('c1', slow(20_000)) // none is done before it is killed
    await until(
      async () => {
        const rows = (await client.xpending(keys.stream, keys.group, '-', '+', 100)) as unknown[][]
        return rows.length === 20 && rows.every(row => row[3] === deliveries)
      },
      `all are delivered ${deliveries} times`,
      60_000,
    )
    await victim.kill()
  }
  pipeline.consumer('c1', slow(400))
  await pipeline.committed(1)
  pipeline.producer(40)
  await pipeline.expectExactlyOnce(40)
  const lines = (await readFile(join(pipeline.outputDir, 'consumer_c1.txt'), 'utf8')).trim().split('\n')
  const numbers = lines.map(line => Number(/package (\d+)/.exec(line)?.[1]))
  expect(numbers.at(-1), 'the last line is of one of these').toBeLessThanOrEqual(20)
})
