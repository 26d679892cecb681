import type { Redis } from 'ioredis'
import { merge } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, done, ownRedis, settle, until, useRedis } from '../tests/redis.ts'
import { commit } from './commit.ts'
import { consume } from './consume.ts'
import { deadLetters } from './dead-letters.ts'
import { returnDue } from './due.ts'
import { RetryLater } from './failure.ts'
import { type Handler, handle } from './handle.ts'
import { inspect } from './inspect.ts'
import type { Outcome } from './outcome.ts'
import { read } from './read.ts'
import { Script } from './scripts.ts'
import type { Session } from './session.ts'

const on = useRedis()
const due = new Script<[returned: number, next: number, missing: string[]]>('due')

function callDue(b: Bench, session: Session, redis: Redis = session.redis, most = 100) {
  const { stream, head, retry, waiting, dead, counts, history, group } = b.keys
  return due.run(
    redis,
    [stream, head, retry, waiting, dead, counts, history],
    [session.epoch, group, most, 1e6],
  )
}

const retry = (entry: string, delay: number, attempt = 2): Outcome => ({
  entry,
  kind: 'retry',
  delay,
  package: 1,
  reason: 'handler failed',
  detail: 'Error: no',
  past: { id: entry, attempt, replays: 0, failures: [] },
})

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** Runs a consumer until the test ends. */
function running(b: Bench, consumer: string, handler: Handler, settings = {}) {
  const run = consume({ ...b.options(consumer, { retryDelay: 10, ...settings }), handler }).subscribe({
    error: error => b.seen.push({ type: 'restarting', error, retryIn: 0 }),
  })
  onTestFinished(() => run.unsubscribe())
  return run
}

test('a package that fails comes back until it succeeds, under the number that it has, and is done once', async () => {
  const b = await bench(on)
  const calls: [attempt: number, number: number, failures: number][] = []
  const handler: Handler = ({ package: n, attempt, failures, id, entry }) => {
    calls.push([attempt, n, failures.length])
    expect(id === entry).toBe(attempt === 1)
    if (n === 2 && attempt < 4) throw new Error(`attempt ${attempt}`)
  }
  await b.fill(3)
  running(b, 'a', handler)
  await until(async () => (await inspect(b.redis, b.keys)).drained, 'drained')
  expect(calls).toEqual([
    [1, 1, 0],
    [1, 2, 0],
    [1, 3, 0],
    [2, 2, 1],
    [3, 2, 2],
    [4, 2, 3],
  ])
  expect((await b.file('a')).match(/package \d+/g)).toEqual(['package 1', 'package 3', 'package 2'])
  expect(await inspect(b.redis, b.keys)).toMatchObject({
    done: 3,
    retried: 3,
    dead: 0,
    waiting: 0,
    pending: 0,
  })
  expect(b.of('retried').map(({ attempt, package: n }) => [n, attempt])).toEqual([
    [2, 2],
    [2, 3],
    [2, 4],
  ])
  expect(await b.redis.exists(b.keys.retry, b.keys.waiting)).toBe(0)
})

test('after the last attempt it is a dead letter that tells of all of them', async () => {
  const b = await bench(on)
  await b.fill(1, 'what it holds')
  running(b, 'a', () => {
    throw new TypeError('never')
  })
  await until(async () => (await inspect(b.redis, b.keys)).deadLetters === 1, 'dead')
  const letters = await all(deadLetters(b.redis, b.keys))
  expect(letters).toMatchObject([
    {
      reason: 'handler failed',
      detail: 'TypeError: never',
      package: 1,
      attempts: 5,
      replays: 0,
      consumer: 'a',
    },
  ])
  const [letter] = letters
  expect(letter?.failures.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5])
  expect(JSON.parse(letter?.fields.data ?? '')).toMatchObject({
    payload: { package: 1, text: 'what it holds' },
  })
  expect(Object.keys(letter?.fields ?? {})).not.toContain('conveyor-sequence')
  expect(await inspect(b.redis, b.keys)).toMatchObject({ letters: { 'handler failed': 1 }, drained: true })
})

test('a message waits until it is due, by the clock of Redis, and not longer', async () => {
  const b = await bench(on)
  const delays = [250, 0, 120]
  const handler: Handler = ({ package: n, attempt }) => {
    if (attempt === 1) throw new RetryLater(delays[n - 1] as number)
  }
  await b.fill(3)
  const session = await b.open('a')
  const work = read(session).pipe(
    handle(handler, { consumer: 'a', concurrency: 1, timeout: 0, signal: session.lost.signal }),
    commit(session),
  )
  const waited = new Map<number, number>() // package -> when it was put off, by Redis' clock
  const run = merge(work, returnDue(session)).subscribe()
  onTestFinished(() => run.unsubscribe())
  await until(async () => (await b.count('done:a')) === 3, 'all are done')
  for (const [id, fields] of await b.redis.xrange(b.keys.stream, '-', '+')) {
    const number = Number(/"package":(\d+)/.exec(fields[fields.indexOf('data') + 1] as string)?.[1])
    const came = fields.indexOf('conveyor')
    if (came < 0) continue
    const failed = JSON.parse(fields[came + 1] as string).failures[0].at
    waited.set(number, Number.parseInt(id, 10) - failed)
  }
  for (const [i, delay] of delays.entries()) {
    expect(waited.get(i + 1)).toBeGreaterThanOrEqual(delay - 5) // the two clocks' milliseconds
    expect(waited.get(i + 1)).toBeLessThan(delay + 2000)
  }
})

test('however many look at once, each message is returned once', async () => {
  const b = await bench(on)
  const entries = await b.fill(300)
  const session = await b.open('a')
  await b.receive('a', 300)
  await settle(
    session,
    entries.map(entry => retry(entry, 0)),
  )
  const replies = await Promise.all(Array.from({ length: 20 }, () => callDue(b, session, on.redis, 25)))
  expect(replies.reduce((sum, [count]) => sum + count, 0)).toBe(300)
  expect(await callDue(b, session)).toEqual([0, -1, []])
  const back = await b.redis.xrange(b.keys.stream, `(${entries.at(-1)}`, '+')
  const first = back.map(([, fields]) => JSON.parse(fields[fields.indexOf('conveyor') + 1] as string).id)
  expect(first.sort()).toEqual([...entries].sort())
  expect(await b.pending()).toEqual([])
})

test('what waits says when the next is due', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const session = await b.open('a')
  await b.receive('a', 2)
  await settle(session, [retry(entries[0] as string, 60_000), retry(entries[1] as string, 5000)])
  const [returned, next] = await callDue(b, session)
  expect([returned, next > 4000 && next <= 5000]).toEqual([0, true])
  const state = await inspect(b.redis, b.keys)
  expect(state).toMatchObject({ waiting: 2, pending: 0, lag: 0, drained: false })
  expect(state.nextDue).toBeGreaterThan(4000)
})

test('a message that comes back is nothing to other groups, and the lag counts it as what it is', async () => {
  const b = await bench(on, ['workers', 'others'])
  const entries = await b.fill(5)
  const session = await b.open('a')
  await b.receive('a', 5)
  await settle(session, [...done(entries.slice(0, 4)), retry(entries[4] as string, 0)])
  await callDue(b, session)
  await b.fill(2) // packages 6 and 7, after it
  expect(await inspect(b.redis, b.keys)).toMatchObject({ lag: 3, drained: false })
  const others = await bench(on, ['others', 'workers'])
  Object.assign(others.keys, { ...b.keys, group: 'others' })
  const seen: number[] = []
  const keys = (await import('./keys.ts')).keysOf(b.keys.stream, 'others')
  const run = consume({
    ...b.options('z'),
    keys,
    groups: ['others', 'workers'],
    outputDirectory: others.directory,
    handler: ({ package: n }) => void seen.push(n),
  }).subscribe()
  onTestFinished(() => run.unsubscribe())
  await until(async () => (await inspect(b.redis, keys)).drained, 'the other group is drained')
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(await b.redis.hget(keys.counts, 'done:z')).toBe('7')
})

test('a message whose body is gone is a dead letter, and those behind it come back', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const session = await b.open('a')
  await b.receive('a', 2)
  await settle(
    session,
    entries.map(entry => retry(entry, 0)),
  )
  await b.redis.hdel(b.keys.waiting, entries[0] as string)
  expect(await callDue(b, session)).toEqual([1, -1, [entries[0]]])
  expect(await b.dead()).toMatchObject([{ reason: 'payload missing', entry: entries[0] }])
  expect([await b.count('lost'), await b.count('dead')]).toEqual([1, 1])
})

test('an entry that was deleted while in hand cannot wait: it is a dead letter', async () => {
  const b = await bench(on)
  const [entry] = (await b.fill(1)) as [string]
  const session = await b.open('a')
  await b.receive('a', 1)
  await b.redis.xdel(b.keys.stream, entry)
  expect(await settle(session, [retry(entry, 0)])).toEqual({
    done: 0,
    retried: 0,
    dead: 1,
    fenced: 0,
    forwarded: 0,
  })
  expect(await b.dead()).toMatchObject([{ reason: 'payload missing', entry }])
  expect(b.of('dead')).toMatchObject([{ reason: 'payload missing', entry }])
  expect(b.of('retried')).toEqual([])
  expect(await b.redis.exists(b.keys.retry)).toBe(0)
})

test('what a peer has claimed does not wait twice', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const session = await b.open('a')
  await b.receive('a', 2)
  await b.redis.xclaim(b.keys.stream, b.keys.group, 'peer', 0, entries[0] as string)
  const settled = await settle(
    session,
    entries.map(entry => retry(entry, 60_000)),
  )
  expect(settled).toEqual({ done: 0, retried: 1, dead: 0, fenced: 1, forwarded: 0 })
  expect(await b.redis.zrange(b.keys.retry, '0', '-1')).toEqual(entries.slice(1))
  // The same again, because its reply was lost.
  expect(await settle(session, [retry(entries[1] as string, 0)])).toMatchObject({ retried: 0, fenced: 1 })
  expect(await b.redis.zcard(b.keys.retry)).toBe(1)
})

test('nothing that waited in an earlier life comes back into this one', async () => {
  const b = await bench(on)
  const [entry] = (await b.fill(1)) as [string]
  const session = await b.open('a')
  await b.receive('a', 1)
  await settle(session, [retry(entry, 0)])
  await b.redis.del(b.keys.stream, b.keys.head) // by hand: what belongs to the group stays
  await b.fill(1)
  await expect(callDue(b, session)).rejects.toThrow('EPOCH')
  const next = await b.open('a')
  expect(await callDue(b, next)).toEqual([0, -1, []])
  expect(await b.redis.xlen(b.keys.stream)).toBe(1)
  // And who belongs to the earlier life settles nothing in this one.
  await expect(settle(session, done(['1-0']))).rejects.toThrow('FENCED')
})

test('messages come back also when memory is used up', async () => {
  const own = await ownRedis('--maxmemory-policy', 'noeviction')
  const b = await bench(own)
  const entries = await b.fill(200, 'x'.repeat(1000))
  const session = await b.open('a')
  await b.receive('a', 200)
  await own.redis.config('SET', 'maxmemory', '1')
  await settle(
    session,
    entries.map(entry => retry(entry, 0)),
  )
  expect((await callDue(b, session, own.redis, 200))[0]).toBe(200)
})

test('a key of the wrong type is refused before the first write', async () => {
  for (const target of ['retry', 'waiting'] as const) {
    const b = await bench(on)
    const [entry] = (await b.fill(1)) as [string]
    const session = await b.open('a')
    await b.receive('a', 1)
    await b.redis.set(b.keys[target], 'something else')
    await expect(settle(session, [retry(entry, 0)])).rejects.toThrow('WRONGTYPE')
    expect(await b.pending()).toHaveLength(1)
  }
})

test("history that cannot be kept gets in nobody's way", async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const session = await b.open('a', { history: 'all' })
  await b.receive('a', 2)
  await b.redis.set(b.keys.history, 'something else')
  await b.redis.set(b.keys.historyOf(1), 'something else')
  const outcomes = [retry(entries[0] as string, 0), ...done(entries.slice(1))]
  expect(await settle(session, outcomes)).toEqual({ done: 1, retried: 1, dead: 0, fenced: 0, forwarded: 0 })
  expect(await callDue(b, session)).toEqual([1, -1, []])
})
