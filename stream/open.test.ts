import { expect, test } from 'vitest'
import { type Bench, bench, ownRedis, until, useRedis } from '../tests/redis.ts'
import { inspect } from './inspect.ts'
import { openStream, StreamUnusable } from './open.ts'
import { trim } from './trim.ts'

const on = useRedis()

const open = (b: Bench, groups = b.groups) => openStream(b.redis, b.keys, groups)
const groupsOf = async (b: Bench) =>
  ((await b.redis.xinfo('GROUPS', b.keys.stream)) as unknown[][]).map(row => [row[1], row[7]])

/** Sees the refusal of an opening: its code, and that the message names the subject and a way out. */
async function refused(b: Bench, code: string, subject: string, groups = b.groups) {
  const before = await b.redis.hgetall(b.keys.head)
  const error = await open(b, groups).catch(found => found)
  expect(error).toBeInstanceOf(StreamUnusable)
  expect(error).toMatchObject({ code, subject })
  expect(error.message).toContain(subject)
  expect(error.message).toMatch(/restore|delete|--fresh/)
  expect(await b.redis.hgetall(b.keys.head)).toEqual(before)
}

test('the first to open begins the epoch with the sequence and all groups, at the start of the stream', async () => {
  const b = await bench(on, ['workers', 'auditors'])
  const opened = await open(b)
  expect(opened).toMatchObject({ sequence: 0, created: true })
  expect(opened.epoch).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{6}$/)
  expect(await groupsOf(b)).toEqual([
    ['auditors', '0-0'],
    ['workers', '0-0'],
  ])
  expect(await b.redis.hgetall(b.keys.head)).toMatchObject({
    epoch: opened.epoch,
    sequence: '0',
    'group:workers': '1',
    'group:auditors': '1',
  })
})

test('of many that open at once one begins, and all find the same epoch', async () => {
  const b = await bench(on)
  const opened = await Promise.all(Array.from({ length: 10 }, () => open(b)))
  expect(new Set(opened.map(({ epoch }) => epoch)).size).toBe(1)
  expect(opened.filter(({ created }) => created)).toHaveLength(1)
})

test('who comes later finds the sequence where it is', async () => {
  const b = await bench(on)
  await b.fill(7)
  expect(await open(b)).toMatchObject({ sequence: 7, created: false })
})

test('a destroyed group is not created again, which would deliver all packages twice', async () => {
  const b = await bench(on)
  await b.fill(3)
  await b.redis.xgroup('DESTROY', b.keys.stream, 'workers')
  await refused(b, 'GROUPGONE', 'workers')
  expect(await groupsOf(b)).toEqual([])
})

test('a group may join later as long as nothing was trimmed, and sees everything', async () => {
  const b = await bench(on)
  await b.fill(3)
  await open(b, ['workers', 'late'])
  expect(await groupsOf(b)).toContainEqual(['late', '0-0'])
  expect(await b.redis.hget(b.keys.head, 'group:late')).toBe('1')
})

test('a group may not join once entries were trimmed that it never saw', async () => {
  const b = await bench(on)
  const entries = await b.fill(100)
  const { epoch } = await open(b)
  await b.receive('a', 100)
  await b.redis.xack(b.keys.stream, 'workers', ...entries)
  await trim(b.redis, b.keys, { epoch, above: 10, to: 10 })
  await refused(b, 'GROUPLATE', 'late', ['workers', 'late'])
  expect((await groupsOf(b)).map(([name]) => name)).toEqual(['workers'])
})

test('entries without a head were written by somebody else: nothing is begun on top of them', async () => {
  const b = await bench(on)
  await b.redis.xadd(b.keys.stream, '*', 'data', '{}')
  await refused(b, 'NOHEAD', b.keys.stream)
})

test('a head without its stream means that packages are lost, and no silent new beginning', async () => {
  const b = await bench(on)
  await b.fill(3)
  await b.redis.del(b.keys.stream)
  await refused(b, 'STREAMGONE', b.keys.stream)
})

test('after FLUSHALL the stream begins a new life, with its groups', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  await b.fill(3)
  const { epoch } = await open(b)
  await redis.flushall()
  const renewed = await open(b)
  expect(renewed).toMatchObject({ sequence: 0, created: true })
  expect(renewed.epoch).not.toBe(epoch)
  expect(await groupsOf(b)).toEqual([['workers', '0-0']])
})

test('a full Redis can be opened, because only consumers can drain it', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  await b.fill(3)
  await redis.config('SET', 'maxmemory', '1mb')
  expect(await open(b)).toMatchObject({ sequence: 3, created: false })
})

test('a stream, head or lane of another type is an error and not overwritten', async () => {
  const b = await bench(on)
  await b.redis.set(b.keys.head, 'mine')
  await expect(open(b)).rejects.toThrow('WRONGTYPE')
  expect(await b.redis.get(b.keys.head)).toBe('mine')
  await b.redis.del(b.keys.head)
  await b.redis.set(b.keys.stream, 'mine')
  await expect(open(b)).rejects.toThrow()
  expect(await b.redis.get(b.keys.stream)).toBe('mine')
})

test('after a crash of Redis the lag of a group is what it has not read', async () => {
  const own = await ownRedis()
  const b = await bench(own)
  await open(b)
  const entries = await b.fill(2500)
  const { stream, group } = b.keys
  const early = await b.receive('a', 1000)
  await b.redis.bgrewriteaof() // which writes down how many were read by then
  const rewriting = async () => (await b.redis.info('persistence')).includes('aof_rewrite_in_progress:1')
  await until(async () => !(await rewriting()), 'the file is rewritten')
  const read = [...early, ...(await b.receive('a', 1300))]
  await b.redis.xack(stream, group, ...read)
  await b.redis.xtrim(stream, 'MINID', entries[2000] as string)
  const lags = async () => ((await b.redis.xinfo('GROUPS', stream)) as unknown[][]).map(row => row[11])
  expect(await lags()).toEqual([200])

  await own.server.kill()
  await own.server.run()
  expect((await lags())[0], 'Redis has forgotten what was read').toBeGreaterThan(200)
  await open(b)
  expect((await lags())[0]).toBe(200)
  expect((await inspect(b.redis, b.keys)).lag).toBe(200)
  await b.receive('a', 150)
  expect((await lags())[0]).toBe(50)
})
