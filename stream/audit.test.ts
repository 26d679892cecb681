import { appendFile, cp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Bench, bench, done, ownRedis, settle, tempDir, until, useRedis } from '../tests/redis.ts'
import { audit } from './audit.ts'
import { connect } from './connection.ts'
import { flush } from './flush.ts'
import { OutputDamaged } from './output-file.ts'
import { runFolder } from './run-folder.ts'

const on = useRedis()

const runId = async (b: Bench) => /run_id:(\w+)/.exec(await b.redis.info('server'))?.[1] as string
const linesOf = (entries: string[]) => entries.map(entry => `line of ${entry}\n`).join('')

/** A run whose consumer has 3 lines on disk and in Redis. */
async function written(b: Bench, consumer = 'a') {
  const entries = await b.fill(3)
  const session = await b.open(consumer)
  await b.receive(consumer, 3)
  await settle(session, done(entries))
  await session.writer?.flush()
  return { session, entries, run: runFolder(b.directory, session.epoch) }
}

test('after Redis forgot its last moments, the file is cut back to what both agree on, and each number comes out once', async () => {
  const own = await ownRedis()
  const b = await bench(own)
  const entries = await b.fill(4)
  const before = await b.open('a')
  await b.receive('a', 2)
  await settle(before, done(entries.slice(0, 2)))
  await before.writer?.flush()

  const aof = join(own.server.dir, 'appendonlydir')
  const copy = join(await tempDir(), 'aof')
  await cp(aof, copy, { recursive: true })
  await b.receive('a', 2)
  await settle(before, done(entries.slice(2)))
  await before.writer?.flush()
  const longer = await b.file('a')
  await own.server.kill()
  await rm(aof, { recursive: true })
  await cp(copy, aof, { recursive: true })
  await own.server.run()

  const after = await b.open('a', {}, before.token)
  expect(await b.file('a')).toBe(linesOf(entries.slice(0, 2)))
  const [cut] = b.of('outputCut')
  expect(cut).toMatchObject({ consumer: 'a', from: longer.length, to: longer.length / 2 })
  expect(await readFile(cut?.kept as string, 'utf8')).toBe(longer)

  expect(await b.receive('a', 10)).toEqual(entries.slice(2))
  await settle(after, done(entries.slice(2)))
  await after.writer?.flush()
  expect(await b.file('a')).toBe(linesOf(entries))
  expect(await readFile(cut?.kept as string, 'utf8')).toBe(longer)
  expect((await readdir(b.directory)).filter(name => name.endsWith('.txt'))).toEqual(['consumer_a.txt'])
})

test('a restart that forgot nothing touches no file, and is compared once', async () => {
  const own = await ownRedis()
  const b = await bench(own)
  const { session, entries, run } = await written(b)
  const { ino, mtimeMs } = await stat(run.file('a'))
  await own.server.kill()
  await own.server.run()
  await b.open('a', {}, session.token)
  expect(await stat(run.file('a'))).toMatchObject({ ino, mtimeMs })
  expect(await b.file('a')).toBe(linesOf(entries))
  expect(b.of('outputCut')).toEqual([])
  expect(await b.redis.hget(b.keys.head, 'audited')).toBe(await runId(b))
})

test('a consumer of an id that never comes back is cut back too', async () => {
  const b = await bench(on)
  const { entries, run } = await written(b, 'gone')
  await appendFile(run.file('gone'), 'line of what Redis forgot\n')
  await b.redis.hset(b.keys.head, 'audited', 'an-earlier-run')
  await b.open('another')
  expect(await readFile(run.file('gone'), 'utf8')).toBe(linesOf(entries))
})

test('a file that Redis knows nothing of has the length 0', async () => {
  const b = await bench(on)
  const { run } = await written(b)
  await appendFile(run.file('stranger'), 'forgotten\n')
  expect(await audit(b.redis, b.keys, run, await runId(b), b.events)).toBe(true)
  expect(await readFile(run.file('stranger'), 'utf8')).toBe('')
  expect(b.of('outputCut')).toMatchObject([{ consumer: 'stranger', from: 10, to: 0 }])
})

test('output that is committed and not yet written counts as known: nothing is cut', async () => {
  const b = await bench(on)
  const { session, entries, run } = await written(b)
  const more = await b.fill(1)
  await b.receive('a', 1)
  await settle(session, done(more))
  expect(await audit(b.redis, b.keys, run, await runId(b), b.events)).toBe(true)
  await session.writer?.flush()
  expect(await b.file('a')).toBe(linesOf([...entries, ...more]))
  expect(b.of('outputCut')).toEqual([])
})

test('nobody opens a session that writes files before they were compared with this run of the server', async () => {
  const b = await bench(on)
  const { session, run } = await written(b)
  await b.redis.hset(b.keys.head, 'audited', 'an-earlier-run')
  await appendFile(run.file('a'), 'forgotten\n')
  await b.open('a', {}, session.token)
  expect(b.of('outputCut')).toHaveLength(1)
})

test('a one-shot flush compares first, too', async () => {
  const b = await bench(on)
  const { entries, run } = await written(b)
  await b.redis.hset(b.keys.head, 'audited', 'an-earlier-run')
  await appendFile(run.file('a'), 'forgotten\n')
  await flush(b.redis, b.keys, b.directory)
  expect(await b.file('a')).toBe(linesOf(entries))
})

test('what was compared under a server that is gone meanwhile is not recorded', async () => {
  const b = await bench(on)
  const { run } = await written(b)
  const recorded = await b.redis.hget(b.keys.head, 'audited')
  expect(await audit(b.redis, b.keys, run, 'f'.repeat(40))).toBe(false)
  expect(await b.redis.hget(b.keys.head, 'audited')).toBe(recorded)
  expect(await audit(b.redis, b.keys, { ...run, epoch: run.epoch }, await runId(b))).toBe(true)
})

test('a process that still writes to the file from before the cut writes to the one kept aside', async () => {
  const b = await bench(on)
  const { session, entries, run } = await written(b)
  const fileBefore = (await stat(run.file('a'))).ino
  await appendFile(run.file('a'), 'forgotten\n')
  await audit(b.redis, b.keys, run, await runId(b), b.events)
  expect((await stat(run.file('a'))).ino).not.toBe(fileBefore)
  expect((await stat(b.of('outputCut')[0]?.kept as string)).ino).toBe(fileBefore)
  await expect(session.writer?.flush()).rejects.toThrow(OutputDamaged)
  expect(await b.file('a')).toBe(linesOf(entries))
})

test('several that compare at the same time cut the same file back once, with the same process id in containers', async () => {
  const b = await bench(on)
  const { entries, run } = await written(b)
  const id = await runId(b)
  for (let round = 0; round < 20; round++) {
    const name = `c${round}`
    const text = `${round} forgotten\n`.repeat(5000)
    await appendFile(run.file(name), linesOf(entries) + text)
    await b.redis.hset(b.keys.files, name, linesOf(entries).length)
    const clients = await Promise.all([1, 2, 3, 4].map(n => connect(b.url, `audit${n}`)))
    const results = await Promise.allSettled(clients.map(redis => audit(redis, b.keys, run, id, b.events)))
    for (const redis of clients) redis.disconnect()
    expect(results.map(result => (result.status === 'rejected' ? String(result.reason) : 'done'))).toEqual(
      Array(4).fill('done'),
    )
    expect(await readFile(run.file(name), 'utf8')).toBe(linesOf(entries))
    const kept = join(b.directory, 'runs', run.epoch, 'rollback', `${id}-longer-consumer_${name}.txt`)
    expect(await readFile(kept, 'utf8')).toBe(linesOf(entries) + text)
  }
  await until(async () => (await b.file('a')) === linesOf(entries), 'the file of a is as it was')
})
