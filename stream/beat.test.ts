import { appendFile, rm } from 'node:fs/promises'
import type { Subscription } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, done, ownRedis, settle, until, useRedis } from '../tests/redis.ts'
import { beat } from './beat.ts'
import { Script } from './scripts.ts'
import type { Session } from './session.ts'

const on = useRedis()
const takeScript = new Script<[claimed: string[], lost: number, ended: number]>('take')

/** Keeps a session beating until the test ends or the beating is unsubscribed. */
function beating(session: Session): Subscription {
  const subscription = beat(session).subscribe({ error: () => {} })
  onTestFinished(() => subscription.unsubscribe())
  return subscription
}

const beats = async (b: Bench, consumer: string) => Number(await b.redis.hget(b.keys.beats, consumer))

/** Waits until a consumer has beaten so often from now on. */
async function after(b: Bench, consumer: string, count: number) {
  const from = await beats(b, consumer)
  await until(async () => (await beats(b, consumer)) >= from + count, `${count} beats of ${consumer}`)
}

/** One attempt of `by` to take over from `peer`, as it was observed. */
async function take(
  b: Bench,
  by: Session,
  peer: string,
  more: { token?: string; beat?: string; most?: number; room?: number } = {},
) {
  const { keys } = b
  const token = more.token ?? (await b.redis.hget(keys.sessions, peer)) ?? ''
  const counter = more.beat ?? (await b.redis.hget(keys.beats, peer)) ?? '0'
  const [claimed, lost, ended] = await takeScript.run(
    by.redis,
    [keys.stream, keys.sessions, keys.beats, keys.dead, keys.counts, keys.history],
    [
      keys.group,
      by.options.consumer,
      by.token,
      peer,
      token,
      counter,
      more.most ?? 1,
      more.room ?? 100,
      60_000,
    ],
  )
  return [claimed.length, lost, ended]
}
const owners = async (b: Bench) => (await b.pending()).map(([, owner]) => owner)

test('the entries of a silent peer are taken over, once, and being claimed is no delivery', async () => {
  const b = await bench(on)
  const entries = await b.fill(5)
  await b.open('dead')
  await b.receive('dead', 5)
  beating(await b.open('a'))
  await until(async () => (await owners(b)).every(owner => owner === 'a'), 'all are claimed')
  expect(await b.pending()).toEqual(entries.map(id => [id, 'a', 1]))
  expect(b.of('claimed')).toEqual([{ type: 'claimed', from: 'dead', count: 5, lost: 0, ended: true }])
  expect(await b.count('claimed')).toBe(5)
  await until(async () => !(await b.redis.hexists(b.keys.sessions, 'dead')), 'the peer is removed')
})

test('a peer that beats is left alone', async () => {
  const b = await bench(on)
  await b.fill(5)
  beating(await b.open('live'))
  await b.receive('live', 5)
  beating(await b.open('a'))
  await after(b, 'a', 30)
  expect(b.of('claimed')).toEqual([])
  expect(new Set(await owners(b))).toEqual(new Set(['live']))
})

test('a stalled Redis kills nobody', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  await b.fill(4)
  for (const id of ['a', 'b', 'c']) beating(await b.open(id, { deadline: 10_000 }))
  await b.receive('a', 4)
  await after(b, 'c', 5)
  for (let stall = 0; stall < 3; stall++) {
    server.pause()
    const end = performance.now() + 400 // death takes 5 beats of 20 ms
    await until(() => performance.now() > end, 'a stall')
    server.resume()
    await after(b, 'c', 6)
  }
  expect(b.of('claimed')).toEqual([])
})

test('an observer that was paused itself judges nobody by the time that passed', async () => {
  const b = await bench(on)
  await b.fill(1)
  beating(await b.open('live', { deathBeats: 1000 }))
  await b.receive('live', 1)
  const watching = beat(await b.open('a'))
  const before = watching.subscribe()
  await after(b, 'a', 3)
  before.unsubscribe()
  await after(b, 'live', 20)
  const again = watching.subscribe()
  onTestFinished(() => again.unsubscribe())
  await after(b, 'a', 4)
  expect(b.of('claimed')).toEqual([])
})

test('a peer that beat after it was observed is not taken over', async () => {
  const b = await bench(on)
  await b.fill(1)
  await b.open('peer')
  await b.receive('peer', 1)
  const a = await b.open('a')
  const observed = await b.redis.hget(b.keys.beats, 'peer')
  await b.redis.hincrby(b.keys.beats, 'peer', 1)
  expect(await take(b, a, 'peer', { beat: observed as string })).toEqual([0, 0, 0])
  expect(await take(b, a, 'peer', { token: 'an earlier session' })).toEqual([0, 0, 0])
  expect(await owners(b)).toEqual(['peer'])
  expect(await take(b, a, 'peer')).toEqual([1, 0, 1])
})

test('who was ended itself takes nothing', async () => {
  const b = await bench(on)
  await b.fill(1)
  await b.open('peer')
  await b.receive('peer', 1)
  const a = await b.open('a')
  await b.open('a', {}, a.token)
  await expect(take(b, a, 'peer')).rejects.toThrow('FENCED')
})

test('an owner that never had a session is taken over too', async () => {
  const b = await bench(on)
  await b.fill(2)
  await b.receive('ghost', 2)
  beating(await b.open('a'))
  await until(async () => (await owners(b)).every(owner => owner === 'a'), 'the ghost is claimed')
  await until(
    async () => ((await b.redis.xinfo('CONSUMERS', b.keys.stream, b.keys.group)) as unknown[]).length === 1,
    'and removed',
  )
})

test('a closed peer is taken over at once', async () => {
  const b = await bench(on)
  await b.fill(2)
  const peer = await b.open('peer')
  await b.receive('peer', 2)
  await peer.close()
  beating(await b.open('a', { beatInterval: 60_000 })) // one beat
  await until(async () => (await owners(b)).every(owner => owner === 'a'), 'all are claimed')
})

test('entries that a ghost read of an ended peer was served later are claimed again', async () => {
  const b = await bench(on)
  await b.fill(1)
  await b.open('peer')
  await b.receive('peer', 1)
  beating(await b.open('a'))
  await until(async () => (await owners(b))[0] === 'a', 'the first is claimed')
  for (let i = 0; i < 3; i++) {
    await b.fill(1)
    await b.receive('peer', 1)
    await until(async () => (await owners(b)).every(owner => owner === 'a'), `ghost ${i} is claimed`)
  }
})

test('an entry is claimed after 2^(k-1) times as much silence, when it was delivered k times', async () => {
  const b = await bench(on)
  const [once, thrice] = (await b.fill(2)) as [string, string]
  await b.open('peer')
  await b.receive('peer', 2)
  await b.redis.xclaim(b.keys.stream, b.keys.group, 'peer', 0, thrice, 'RETRYCOUNT', 3, 'JUSTID')
  const at = new Map<string, number>()
  beating(await b.open('a', { beatInterval: 10 }))
  await until(async () => {
    for (const [id, owner] of await b.pending())
      if (owner === 'a' && !at.has(id)) at.set(id, await beats(b, 'a'))
    return at.size === 2
  }, 'both are claimed')
  expect(at.get(once)).toBeGreaterThanOrEqual(5)
  expect(at.get(thrice)).toBeGreaterThanOrEqual(4 * 5)
  expect(at.get(thrice)).toBeLessThan(4 * 5 + 15)
})

test('an entry that was delivered very often is claimed within minutes at the defaults, not never', async () => {
  const b = await bench(on)
  const [entry] = (await b.fill(1)) as [string]
  await b.open('peer')
  await b.receive('peer', 1)
  await b.redis.xclaim(b.keys.stream, b.keys.group, 'peer', 0, entry, 'RETRYCOUNT', 20, 'JUSTID')
  beating(await b.open('a', { beatInterval: 1 }))
  await until(
    async () => (await owners(b))[0] === 'a' || (await beats(b, 'a')) > 1500,
    '300 times the silence',
  )
  expect(await owners(b)).toEqual(['a'])
})

test('no more is claimed than there is room for', async () => {
  const b = await bench(on)
  await b.fill(10)
  await b.open('peer')
  await b.receive('peer', 10)
  const a = await b.open('a')
  expect(await take(b, a, 'peer', { room: 4 })).toEqual([4, 0, 0])
  expect(await take(b, a, 'peer', { room: 0 })).toEqual([0, 0, 0])
  expect(await take(b, a, 'peer', { room: 100 })).toEqual([6, 0, 1])
})

test('a peer with far more pending than a page is taken over whole', async () => {
  const b = await bench(on)
  await b.fill(1234)
  await b.open('peer')
  await b.receive('peer', 1234)
  expect(await take(b, await b.open('a'), 'peer', { room: 5000 })).toEqual([1234, 0, 1])
})

test('two that claim at once share, and no entry is claimed twice', async () => {
  const b = await bench(on)
  await b.fill(300)
  await b.open('peer')
  await b.receive('peer', 300)
  for (const id of ['a', 'b', 'c']) beating(await b.open(id, { maxHeld: 100 }))
  await until(async () => !(await owners(b)).includes('peer'), 'all are claimed')
  expect(b.of('claimed').reduce((sum, { count }) => sum + count, 0)).toBe(300)
})

test('an entry whose body was deleted goes to the dead letters and is counted as lost', async () => {
  const b = await bench(on)
  const entries = await b.fill(4)
  await b.open('peer')
  await b.receive('peer', 4)
  await b.redis.xdel(b.keys.stream, entries[0] as string)
  await b.redis.xtrim(b.keys.stream, 'MINID', entries[2] as string)
  expect(await take(b, await b.open('a'), 'peer')).toEqual([2, 2, 1])
  const missing = {
    reason: 'payload missing',
    group: b.keys.group,
    consumer: 'peer',
    deliveries: '1',
    epoch: '',
  }
  expect(await b.dead()).toEqual(entries.slice(0, 2).map(entry => ({ ...missing, entry })))
  expect([await b.count('lost'), await b.count('dead')]).toEqual([2, 2])
  expect((await b.pending()).map(([id]) => id)).toEqual(entries.slice(2))
})

test('more pending for oneself than in hand asks for a look after two beats, not after one', async () => {
  const b = await bench(on)
  await b.fill(3)
  const a = await b.open('a')
  a.recoverWanted = false
  await b.receive('a', 3)
  beating(a)
  await until(() => a.recoverWanted, 'a look is asked for')
  expect(await beats(b, 'a')).toBeGreaterThanOrEqual(3)
})

test('what a dead peer had committed is written to its file, and then the peer is removed', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const peer = await b.open('peer')
  await b.receive('peer', 2)
  await settle(peer, done(entries))
  beating(await b.open('a'))
  await until(async () => (await b.redis.hexists(b.keys.sessions, 'peer')) === 0, 'the peer is removed')
  expect(await b.file('peer')).toBe(entries.map(entry => `line of ${entry}\n`).join(''))
  expect(b.of('flushed')).toMatchObject([{ consumer: 'peer' }])
  expect(await b.redis.hexists(b.keys.files, 'peer')).toBe(1)
})

test('a damaged file of one dead peer is reported once, and those of others are written', async () => {
  const b = await bench(on)
  const entries = await b.fill(3)
  const files = new Map<string, string>()
  for (const id of ['short', 'longer', 'well']) {
    const peer = await b.open(id)
    const [entry] = (await b.receive(id, 1)) as [string]
    await settle(peer, done([entry]))
    if (id !== 'well') await peer.writer?.flush()
    files.set(id, peer.run?.file(id) as string)
  }
  await rm(files.get('short') as string)
  await appendFile(files.get('longer') as string, 'foreign\n')
  beating(await b.open('a'))
  await until(async () => (await b.redis.hexists(b.keys.sessions, 'well')) === 0, 'the well one is removed')
  await after(b, 'a', 20)
  expect(await b.file('well')).toBe(`line of ${entries[2]}\n`)
  expect(
    b
      .of('outputDamaged')
      .map(({ consumer }) => consumer)
      .sort(),
  ).toEqual(['longer', 'short'])
})

test('a session that was ended ends its beating', async () => {
  const b = await bench(on)
  const first = await b.open('a')
  let error: unknown
  beat(first).subscribe({ error: found => (error = found) })
  await b.open('a', {}, first.token)
  await until(() => error, 'the beating ends')
  expect(error).toMatchObject({ code: 'FENCED' })
})
