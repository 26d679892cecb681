import { appendFile, readdir, rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { type Bench, bench, done, settle, useRedis } from '../tests/redis.ts'
import { flush } from './flush.ts'
import { inspect } from './inspect.ts'

const on = useRedis()

/** Consumers that committed a line each and died before it was on disk. */
async function dead(b: Bench, ...consumers: string[]): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  for (const id of consumers) {
    const entries = await b.fill(1)
    const session = await b.open(id)
    await b.receive(id, 1)
    await settle(session, done(entries))
    session.dispose()
    texts.set(id, `line of ${entries[0]}\n`)
  }
  return texts
}
const run = (b: Bench) => flush(b.redis, b.keys, b.directory, b.events)

test('without a living consumer all files come up to what was committed', async () => {
  const b = await bench(on)
  const texts = await dead(b, 'a', 'b', 'c')
  const total = [...texts.values()].join('').length
  expect(await inspect(b.redis, b.keys)).toMatchObject({ unflushed: total, drained: false })
  expect(await run(b)).toEqual({ bytes: total, damaged: [] })
  for (const [id, text] of texts) expect(await b.file(id)).toBe(text)
  expect(await inspect(b.redis, b.keys)).toMatchObject({ unflushed: 0, drained: true })
})

test('a second flush finds nothing to do, and puts back the links that are gone', async () => {
  const b = await bench(on)
  const texts = await dead(b, 'a', 'b')
  await run(b)
  for (const name of await readdir(b.directory)) if (name.endsWith('.txt')) await rm(`${b.directory}/${name}`)
  expect(await run(b)).toEqual({ bytes: 0, damaged: [] })
  for (const [id, text] of texts) expect(await b.file(id)).toBe(text)
})

test('a stream that was never opened has nothing to flush', async () => {
  const b = await bench(on)
  expect(await run(b)).toEqual({ bytes: 0, damaged: [] })
  expect(await readdir(b.directory)).toEqual([])
})

test('beside a living consumer it does no harm', async () => {
  const b = await bench(on)
  const entries = await b.fill(60)
  const session = await b.open('a')
  await b.receive('a', 60)
  const flushes: Promise<unknown>[] = []
  for (const entry of entries) {
    await settle(session, done([entry]))
    flushes.push(run(b))
    flushes.push(session.writer?.flush() as Promise<number>)
    await Promise.race(flushes)
    if (flushes.length > 6) await Promise.all(flushes.splice(0))
  }
  await Promise.all(flushes)
  expect(await b.file('a')).toBe(entries.map(entry => `line of ${entry}\n`).join(''))
  expect(await b.redis.xlen(b.keys.output('a'))).toBe(0)
})

test('damaged files are named, and the others are written', async () => {
  const b = await bench(on)
  const texts = await dead(b, 'a', 'b', 'c')
  const { epoch } = await inspect(b.redis, b.keys)
  await appendFile(`${b.directory}/runs/${epoch}/consumer_b.txt`, 'x'.repeat(100))
  const { damaged } = await run(b)
  expect(damaged).toMatchObject([{ kind: 'long' }])
  expect(damaged[0]?.path).toContain('consumer_b.txt')
  for (const id of ['a', 'c']) expect(await b.file(id)).toBe(texts.get(id))
})
