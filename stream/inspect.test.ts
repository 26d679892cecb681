import { expect, test } from 'vitest'
import { bench, done, settle, until, useRedis } from '../tests/redis.ts'
import { beat } from './beat.ts'
import { inspect } from './inspect.ts'
import { keysOf } from './keys.ts'
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
        oldestPending: expect.any(Number),
        deliveries: 1,
        done: 3,
        claimed: 0,
        fenced: 0,
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

test('each consumer has its oldest pending entry, what it claimed and what was refused', async () => {
  const b = await bench(on)
  const entries = await b.fill(5)
  const ended = await b.open('ended')
  await b.receive('ended', 3)
  await ended.close()
  const heir = await b.open('heir')
  const beating = beat(heir).subscribe()
  await until(async () => (await b.pending('heir')).length === 3, 'the entries are claimed')
  beating.unsubscribe()
  const slow = await b.open('slow')
  const mine = await b.receive('slow', 2)
  await b.redis.xclaim(b.keys.stream, b.keys.group, 'heir', 0, mine[0] as string)
  await settle(slow, done(mine))
  const { consumers, claimed, fenced } = await inspect(b.redis, b.keys)
  expect({ claimed, fenced }).toEqual({ claimed: 3, fenced: 1 })
  const [first, second] = ['heir', 'slow'].map(name => consumers.find(({ id }) => id === name))
  expect(first).toMatchObject({ pending: 4, claimed: 3, fenced: 0, deliveries: 1 })
  expect(first?.oldestPending).toBeGreaterThanOrEqual(0)
  expect(second).toMatchObject({ pending: 0, done: 1, claimed: 0, fenced: 1 })
  expect(second).not.toHaveProperty('oldestPending')
  expect(entries).toHaveLength(5)
})

test('the oldest entry, the memory, and where trimming stops', async () => {
  const b = await bench(on, ['workers', 'audit'])
  const entries = await b.fill(300)
  const state = () => inspect(b.redis, b.keys)
  const { epoch } = await b.open('a')
  expect(await state()).toMatchObject({ first: entries[0], floor: { entry: entries[0] }, missing: [] })
  expect((await state()).memory).toBeGreaterThan(300 * 10)
  expect((await state()).oldestUndelivered).toBeGreaterThanOrEqual(0)

  const read = await b.receive('a', 300)
  await b.redis.xack(b.keys.stream, 'workers', ...read)
  expect(await state()).not.toHaveProperty('oldestUndelivered')
  await b.redis.xreadgroup('GROUP', 'audit', 'x', 'COUNT', 200, 'STREAMS', b.keys.stream, '>')
  await b.redis.xack(b.keys.stream, 'audit', ...entries.slice(0, 120))
  expect((await state()).floor).toEqual({ entry: entries[120], group: 'audit' })
  await trim(b.redis, b.keys, { epoch, above: 1, to: 1 })
  expect(await state()).toMatchObject({ first: entries[120], length: 180 })

  await b.redis.xack(b.keys.stream, 'audit', ...entries)
  expect((await state()).floor).toEqual({ entry: entries[200], group: 'audit' })
  await b.redis.xgroup('DESTROY', b.keys.stream, 'audit')
  expect(await state()).toMatchObject({ groups: ['workers', 'audit'], missing: ['audit'] })
  expect(await state()).not.toHaveProperty('floor')
})

test('ids are compared as numbers', async () => {
  const b = await bench(on, ['workers', 'audit'])
  await b.open('a')
  const { stream } = b.keys
  for (const id of ['9-1', '10-2', '10-10']) await b.redis.xadd(stream, id, 'data', 'x')
  await b.redis.xgroup('SETID', stream, 'workers', '10-2')
  await b.redis.xgroup('SETID', stream, 'audit', '9-1')
  expect((await inspect(b.redis, keysOf(stream, 'audit'))).floor).toEqual({ entry: '10-2', group: 'audit' })
})
