import { expect, test } from 'vitest'
import { bench, done, settle, useRedis } from '../tests/redis.ts'
import { inspect } from './inspect.ts'
import { trim } from './trim.ts'

const on = useRedis()

test('a stream that was never opened is nothing, and looking creates nothing', async () => {
  const b = await bench(on)
  const state = await inspect(b.redis, b.keys)
  expect(state).toMatchObject({
    sequence: 0,
    length: 0,
    groups: [],
    group: false,
    lag: 0,
    pending: 0,
    drained: false,
  })
  expect(state).not.toHaveProperty('epoch')
  expect(await b.redis.keys(`*${b.keys.stream}*`)).toEqual([])
})

test('what is not delivered, pending, committed, on disk and dead is told apart', async () => {
  const b = await bench(on)
  const entries = await b.fill(10)
  const session = await b.open('a')
  await b.receive('a', 6)
  const [dead, ...lines] = entries.slice(0, 4) as [string, ...string[]]
  await settle(session, [...done(lines), { entry: dead, kind: 'dead', reason: 'poison', detail: '' }])
  const bytes = lines.reduce((sum, entry) => sum + `line of ${entry}\n`.length, 0)
  expect(await inspect(b.redis, b.keys)).toMatchObject({
    epoch: session.epoch,
    sequence: 10,
    length: 10,
    groups: ['workers'],
    group: true,
    lag: 4,
    pending: 2,
    deadLetters: 1,
    done: 3,
    dead: 1,
    lost: 0,
    fenced: 0,
    unflushed: bytes,
    drained: false,
    consumers: [
      {
        id: 'a',
        session: 'live',
        holder: session.token.split(' ')[1],
        beat: 1,
        pending: 2,
        done: 3,
        output: bytes,
        unflushed: bytes,
      },
    ],
  })
  expect((await inspect(b.redis, b.keys)).oldestPending).toBeGreaterThanOrEqual(0)
})

test('output that is not on disk keeps the stream from being drained', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const session = await b.open('a')
  await b.receive('a', 2)
  const state = () => inspect(b.redis, b.keys)
  expect(await state()).toMatchObject({ lag: 0, pending: 2, drained: false })
  await settle(session, done(entries))
  expect(await state()).toMatchObject({ lag: 0, pending: 0, drained: false })
  await session.writer?.flush()
  expect(await state()).toMatchObject({ lag: 0, pending: 0, unflushed: 0, drained: true })
})

test('a log of which a part is on disk counts the rest', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const session = await b.open('a')
  await b.receive('a', 2)
  for (const entry of entries) await settle(session, done([entry]))
  const [first] = await b.redis.xrange(b.keys.output('a'), '-', '+', 'COUNT', 1)
  await b.redis.xdel(b.keys.output('a'), first?.[0] as string)
  expect((await inspect(b.redis, b.keys)).unflushed).toBe(`line of ${entries[1]}\n`.length)
})

test('an opened stream that never had a package is drained', async () => {
  const b = await bench(on)
  await b.open('a')
  expect(await inspect(b.redis, b.keys)).toMatchObject({ sequence: 0, lag: 0, drained: true })
})

test('the lag comes from package numbers: deleting and trimming do not change it', async () => {
  const b = await bench(on)
  const entries = await b.fill(300)
  const { epoch } = await b.open('a')
  const read = await b.receive('a', 200)
  await b.redis.xack(b.keys.stream, b.keys.group, ...read)
  const lag = async () => (await inspect(b.redis, b.keys)).lag
  expect(await lag()).toBe(100)
  await b.redis.xdel(b.keys.stream, entries[250] as string, entries[20] as string)
  expect(await lag()).toBe(100)
  await trim(b.redis, b.keys, { epoch, above: 1, to: 1 })
  expect(await lag()).toBe(100)
})

test('poison ahead does not hide the packages behind it', async () => {
  const b = await bench(on)
  await b.open('a')
  for (let i = 0; i < 3; i++) await b.redis.xadd(b.keys.stream, '*', 'data', 'poison')
  await b.fill(5)
  expect(await inspect(b.redis, b.keys)).toMatchObject({ lag: 8, drained: false })
  const c = await bench(on)
  await c.open('a')
  for (let i = 0; i < 20; i++) await c.redis.xadd(c.keys.stream, '*', 'data', 'poison')
  await c.fill(500)
  expect((await inspect(c.redis, c.keys)).lag).toBeGreaterThanOrEqual(500)
})

test('sessions that ended, never were, or are gone are told apart', async () => {
  const b = await bench(on)
  await b.fill(4)
  await b.open('live')
  const ended = await b.open('ended')
  await b.receive('ended', 1)
  await ended.close()
  await b.receive('ghost', 1)
  const entries = await b.receive('gone', 1)
  const gone = await b.open('gone')
  await settle(gone, done(entries))
  await gone.writer?.flush()
  await gone.close()
  const { consumers } = await inspect(b.redis, b.keys)
  expect(consumers.map(({ id, session, pending, done: lines }) => [id, session, pending, lines])).toEqual([
    ['ended', 'ended', 1, 0],
    ['ghost', 'none', 1, 0],
    ['gone', 'none', 0, 1],
    ['live', 'live', 0, 0],
  ])
})

test('a group or a stream that is gone is not drained', async () => {
  const b = await bench(on)
  await b.fill(1)
  await b.open('a')
  await b.redis.xgroup('DESTROY', b.keys.stream, 'workers')
  expect(await inspect(b.redis, b.keys)).toMatchObject({ group: false, groups: ['workers'], drained: false })
  await b.redis.del(b.keys.stream)
  expect(await inspect(b.redis, b.keys)).toMatchObject({ group: false, sequence: 1, drained: false })
})
