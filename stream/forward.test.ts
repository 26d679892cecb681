import { BehaviorSubject, firstValueFrom, take, toArray } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, newName, QUICK, settle, until, useRedis } from '../tests/redis.ts'
import { consume } from './consume.ts'
import { RetryLater } from './failure.ts'
import { forget } from './forget.ts'
import { type Forward, isBehind, messagesOf } from './forward.ts'
import type { Handler } from './handle.ts'
import { keysOf } from './keys.ts'
import { openStream } from './open.ts'
import type { Outcome } from './outcome.ts'
import { openSession, type Session } from './session.ts'

const on = useRedis()

const nextOf = (full: Forward['full'] = new BehaviorSubject(false)): Forward => ({
  keys: keysOf(newName(), 'writers'),
  groups: ['writers'],
  full,
})

/** What the entries of the next stream say. */
async function sent(b: Bench, { keys }: Forward) {
  const entries = await b.redis.xrange(keys.stream, '-', '+')
  return entries.map(([, fields]) => JSON.parse(fields[1] as string).payload)
}

async function open(b: Bench, forward: Forward, consumer = 'a'): Promise<Session> {
  const session = await openSession({ ...b.options(consumer), forward })
  onTestFinished(() => session.dispose())
  return session
}

const forwarding = (entries: string[], bodies: (entry: string, n: number) => string[]): Outcome[] =>
  entries.map((entry, n) => ({
    entry,
    package: n + 1,
    kind: 'done',
    line: `line ${n + 1}`,
    ...(bodies(entry, n).length > 0 && { forwards: bodies(entry, n) }),
  }))

test.each([
  [undefined, []],
  [null, []],
  [[], []],
  [{ a: 1 }, ['{"a":1}']],
  ['text', ['"text"']],
  [0, ['0']],
  [
    [1, [2], null],
    ['1', '[2]', 'null'],
  ],
])('what is returned becomes messages: %j', (result, texts) => {
  expect(messagesOf(result)).toEqual(texts)
})

test.each([[() => {}], [[1, undefined]], [1n], [Array(1001).fill(1)]])('and what cannot: %s', result => {
  expect(() => messagesOf(result)).toThrow()
})

test('messages are appended with numbers of the next stream, in the step that settles', async () => {
  const b = await bench(on)
  const forward = nextOf()
  const entries = await b.fill(4)
  const session = await open(b, forward)
  await b.receive('a', 4)
  const settled = await settle(
    session,
    forwarding(entries, (_, n) => Array.from({ length: n }, (_, m) => JSON.stringify({ n, m }))),
  )
  expect(settled).toMatchObject({ done: 4, forwarded: 6 })
  const { stream } = b.keys
  expect(await sent(b, forward)).toEqual(
    [
      [2, { n: 1, m: 0 }],
      [3, { n: 2, m: 0 }],
      [3, { n: 2, m: 1 }],
      [4, { n: 3, m: 0 }],
      [4, { n: 3, m: 1 }],
      [4, { n: 3, m: 2 }],
    ].map(([number, body], i) => ({ package: i + 1, from: { stream, package: number }, body })),
  )
  expect(await b.redis.hget(forward.keys.head, 'sequence')).toBe('6')
  expect(await b.pending()).toEqual([])
})

test('of entries that a peer has taken over nothing is forwarded, and of the others all', async () => {
  const b = await bench(on)
  const forward = nextOf()
  const entries = await b.fill(5)
  const session = await open(b, forward)
  await b.receive('a', 5)
  await b.redis.xclaim(b.keys.stream, b.keys.group, 'z', 0, entries[1] as string, entries[3] as string)
  const settled = await settle(
    session,
    forwarding(entries, (_, n) => [String(n)]),
  )
  expect(settled).toMatchObject({ done: 3, fenced: 2, forwarded: 3 })
  expect((await sent(b, forward)).map(({ body }) => body)).toEqual([0, 2, 4])
})

test('a session that was ended forwards nothing', async () => {
  const b = await bench(on)
  const forward = nextOf()
  const entries = await b.fill(2)
  const session = await open(b, forward)
  await b.receive('a', 2)
  await b.redis.hset(b.keys.sessions, 'a', '-')
  await expect(
    settle(
      session,
      forwarding(entries, () => ['1']),
    ),
  ).rejects.toMatchObject({ code: 'FENCED' })
  expect(await sent(b, forward)).toEqual([])
})

test('when the next stream began a new life nothing is settled, and the consumer finds its way', async () => {
  const b = await bench(on)
  const forward = nextOf()
  const entries = await b.fill(2)
  const session = await open(b, forward)
  await b.receive('a', 2)
  await forget(b.redis, forward.keys)
  await expect(
    settle(
      session,
      forwarding(entries, () => ['1']),
    ),
  ).rejects.toMatchObject({ code: 'EPOCH' })
  await openStream(b.redis, forward.keys, forward.groups)
  await expect(
    settle(
      session,
      forwarding(entries, () => ['1']),
    ),
  ).rejects.toMatchObject({ code: 'EPOCH' })
  expect((await b.pending()).length).toBe(2)
  session.dispose()
  const again = await open(b, forward, 'b')
  await b.redis.xclaim(b.keys.stream, b.keys.group, 'b', 0, ...entries)
  expect(
    await settle(
      again,
      forwarding(entries, () => ['1']),
    ),
  ).toMatchObject({ forwarded: 2 })
})

/** A consumer at work, which is stopped when the test ends. */
function work(b: Bench, handler: Handler, forward: Forward, more: object = {}) {
  const { outputDirectory: _, ...options } = b.options('a')
  const running = new Promise<void>((resolve, reject) => {
    consume({ ...options, ...more, handler, forward, settings: { ...QUICK, retryDelay: 10 } }).subscribe({
      error: reject,
      complete: resolve,
    })
  })
  running.catch(() => {})
  onTestFinished(async () => {
    b.stop.abort()
    await running
  })
  return running
}

test('a handler returns the next messages: each attempt but the last leaves nothing behind', async () => {
  const b = await bench(on)
  const forward = nextOf()
  await b.fill(30)
  work(
    b,
    ({ package: number }, { attempt }) => {
      if (attempt < 1 + (number % 3)) throw new RetryLater(1)
      if (number === 7) return () => {}
      return number % 2 ? { number } : [number, number]
    },
    forward,
  )
  const expected = Array.from({ length: 30 }, (_, n) => n + 1).flatMap((n): unknown[] =>
    n === 7 ? [] : n % 2 ? [{ number: n }] : [n, n],
  )
  await until(async () => (await sent(b, forward)).length >= expected.length, 'all are forwarded')
  const found = await sent(b, forward)
  expect(found.map(({ package: number }) => number)).toEqual(expected.map((_, n) => n + 1))
  expect(found.map(({ body }) => JSON.stringify(body)).sort()).toEqual(
    expected.map(body => JSON.stringify(body)).sort(),
  )
  await until(async () => (await b.dead()).length === 1, 'the letter')
  expect(await b.dead()).toMatchObject([{ reason: 'invalid message', package: '7' }])
  expect(b.of('committed').reduce((sum, { forwarded }) => sum + forwarded, 0)).toBe(expected.length)
})

test('while those who read the next stream are too far behind, nothing is handled', async () => {
  const b = await bench(on)
  const full = new BehaviorSubject(true)
  const forward = nextOf(full)
  await b.fill(10)
  let handled = 0
  work(b, () => ++handled, forward)
  await until(() => b.of('sessionOpened').length > 0, 'a session')
  await until(async () => Number(await b.redis.hget(b.keys.beats, 'a')) > 10, 'ten beats')
  expect(handled).toBe(0)
  full.next(false)
  await until(async () => (await sent(b, forward)).length === 10, 'all are forwarded')
})

test('how far they are behind is looked at, also while Redis is away', async () => {
  const b = await bench(on)
  const next = { keys: b.keys, groups: b.groups }
  const options = { url: b.url, deadline: 1000, most: 3 }
  const [first, second] = await firstValueFrom(isBehind(next, options).pipe(take(2), toArray()))
  expect([first, second]).toEqual([true, false])
  const seen: boolean[] = []
  const watching = isBehind(next, options).subscribe(full => seen.push(full))
  onTestFinished(() => watching.unsubscribe())
  await until(() => seen.length === 2, 'the first look')
  await b.fill(3)
  await until(() => seen.length === 3, 'it is full')
  await b.receive('c', 1)
  await until(() => seen.length === 4, 'it is not')
  expect(seen).toEqual([true, false, true, false])
  const away = isBehind(next, { ...options, url: 'redis://127.0.0.1:1' })
  expect(await firstValueFrom(away)).toBe(true)
})
