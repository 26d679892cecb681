/* What nobody should write, throw or delete, and somebody will: it ends its own package at most. */

import type { Redis } from 'ioredis'
import { lastValueFrom, of, toArray } from 'rxjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, settle, until, useRedis } from '../tests/redis.ts'
import { consume } from './consume.ts'
import { deadLetters, purgeDeadLetter, replayDeadLetter } from './dead-letters.ts'
import { forget } from './forget.ts'
import { type Handler, handle } from './handle.ts'
import { inspect } from './inspect.ts'
import { keysOf } from './keys.ts'
import { locate } from './locate.ts'
import { openStream } from './open.ts'
import type { Outcome } from './outcome.ts'
import { packageHistory } from './package-history.ts'
import { Script } from './scripts.ts'
import type { Session } from './session.ts'

const on = useRedis()
const due = new Script<[returned: number, next: number, missing: string[]]>('due')

function callDue(b: Bench, session: Session, keys = b.keys) {
  const { stream, head, retry, waiting, dead, counts, history, group } = keys
  return due.run(
    session.redis,
    [stream, head, retry, waiting, dead, counts, history],
    [session.epoch, group, 100, 1e6],
  )
}

const retry = (entry: string, delay: number, detail = 'Error: no', number = 1): Outcome => ({
  entry,
  kind: 'retry',
  delay,
  package: number,
  reason: 'handler failed',
  detail,
  past: { id: entry, attempt: 2, replays: 0, failures: [] },
})

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** A consumer under a supervisor: it is started again after each crash. Returns its crashes. */
function supervised(b: Bench, consumer: string, handler: Handler, settings = {}) {
  const crashes: Error[] = []
  let over = false
  let stop = () => {}
  const start = () => {
    const run = consume({ ...b.options(consumer, { retryDelay: 1, ...settings }), handler }).subscribe({
      error: (error: Error) => {
        crashes.push(error)
        if (!over && crashes.length < 12) setTimeout(start, 20)
      },
    })
    stop = () => run.unsubscribe()
  }
  start()
  onTestFinished(() => {
    over = true
    stop()
  })
  return crashes
}

const drained = (b: Bench) => async () => (await inspect(b.redis, b.keys)).drained
const DATA = (n: number) => `{"timestamp_producer":1,"payload":{"package":${n}}}`
const nested = (n: number) => '['.repeat(n) + ']'.repeat(n)

describe('a forged or damaged field `conveyor` must end among the dead letters, not kill every consumer', () => {
  test.each([
    ['null among its failures', '[null]'],
    ['a failure without detail', '[{}]'],
    ['failures nested deeply', nested(100_000)],
  ])('%s', async (_, failures) => {
    const b = await bench(on)
    await openStream(b.redis, b.keys, ['workers'])
    const conveyor = `{"group":"workers","id":"1-0","attempt":1,"replays":0,"failures":${failures}}`
    await b.redis.xadd(b.keys.stream, '*', 'data', 'no JSON', 'conveyor', conveyor)
    await b.fill(3)
    const crashes = supervised(b, 'a', () => {})
    await until(drained(b), 'drained', 5000).catch(() => {})
    expect({
      crashes: crashes.map(String),
      letters: (await b.dead()).length,
      pending: (await b.pending()).length,
    }).toEqual({
      crashes: [],
      letters: 1,
      pending: 0,
    })
  })
})

describe('whatever a handler throws is an outcome of its package', () => {
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }
  const OUTCOME = Symbol.for('conveyor.outcome')
  const marked = (ms: unknown) => Object.assign(new Error('x'), { [OUTCOME]: 'retry', ms })
  const things: [string, () => unknown][] = [
    ['a revoked proxy', revoked],
    [
      'a mark whose getter throws',
      () =>
        Object.defineProperty(new Error('x'), OUTCOME, {
          get() {
            throw new Error('getter')
          },
        }),
    ],
    ['ms is a BigInt', () => marked(5n)],
    ['ms is a symbol', () => marked(Symbol('x'))],
    ['ms is 31,000 years', () => marked(1e15)],
    [
      'Reject without a message that can be read',
      () =>
        Object.defineProperty({ [OUTCOME]: 'reject' }, 'message', {
          get() {
            throw new Error('getter')
          },
        }),
    ],
  ]
  for (const how of ['sync', 'async'] as const) {
    test.each(things)(`${how}: %s`, async (_, make) => {
      const b = await bench(on)
      await b.fill(3)
      const handler: Handler = ({ package: n, attempt }) => {
        if (n !== 2 || attempt > 1) return undefined
        if (how === 'async') return Promise.reject(make())
        throw make()
      }
      const crashes = supervised(b, 'a', handler)
      await until(drained(b), 'drained', 2500).catch(() => {})
      const state = await inspect(b.redis, b.keys)
      expect({ crashes: crashes.map(String), drained: state.drained, sum: state.done + state.dead }).toEqual({
        crashes: [],
        drained: true,
        sum: 3,
      })
    })
  }
})

test('nothing that waited in an earlier life comes back, also of a group that joins the new one later', async () => {
  const b = await bench(on, ['workers', 'others'])
  const others = keysOf(b.keys.stream, 'others')
  const [entry] = (await b.fill(3)) as [string, string, string]
  const other = { ...b.options('z'), keys: others, outputDirectory: `${b.directory}/o` }
  const { openSession } = await import('./session.ts')
  const old = await openSession(other)
  onTestFinished(() => old.dispose())
  await b.redis.xreadgroup('GROUP', 'others', 'z', 'COUNT', 1, 'STREAMS', b.keys.stream, '>')
  await settle(old, [retry(entry, 0)])
  old.dispose()
  // What NOHEAD's text tells people to do, after the head was lost: delete the stream.
  await b.redis.del(b.keys.stream, b.keys.head)
  // A consumer opens the stream with its own group only, as consumer.ts does; the other group's comes next.
  await openStream(b.redis, b.keys, ['workers'])
  const next = await openSession({ ...other, groups: ['others'] })
  onTestFinished(() => next.dispose())
  expect(await callDue(b, next, others)).toEqual([0, -1, []])
  expect(await b.redis.xlen(b.keys.stream)).toBe(0)
})

test('forget removes the histories of all groups, not of one', async () => {
  const b = await bench(on, ['workers', 'others'])
  const others = keysOf(b.keys.stream, 'others')
  const [entry] = (await b.fill(1)) as [string]
  const { openSession } = await import('./session.ts')
  const session = await openSession({ ...b.options('z'), keys: others, outputDirectory: `${b.directory}/o` })
  onTestFinished(() => session.dispose())
  await b.redis.xreadgroup('GROUP', 'others', 'z', 'COUNT', 1, 'STREAMS', b.keys.stream, '>')
  await settle(session, [retry(entry, 0)])
  await forget(b.redis, b.keys)
  expect(await packageHistory(b.redis, others, 1)).toEqual([]) // package 1 of the next run is another one
})

test('forget leaves alone the lane of a producer that is already in the next life', async () => {
  const b = await bench(on)
  await b.fill(1)
  const append = new Script<[number, number]>('append')
  const lane = b.keys.lane('p')
  let epoch = ''
  const request = () =>
    append.run(b.redis, [b.keys.stream, b.keys.head, lane], [epoch, 1, 0, 1, DATA(0).slice(0, -3), '}}', 0])
  // Between forget's script and its scan a producer opens the new life and appends; its reply is lost.
  const redis = new Proxy(b.redis, {
    get(target, name) {
      const value = Reflect.get(target, name)
      if (name !== 'scanStream') return typeof value === 'function' ? value.bind(target) : value
      return async function* (options: { match: string; count: number }) {
        if (!epoch) {
          epoch = (await openStream(b.redis, b.keys, ['workers'])).epoch
          await request()
        }
        yield* target.scanStream(options)
      }
    },
  }) as Redis
  await forget(redis, b.keys)
  expect(await request()).toEqual([1, 1]) // the first answer again
  expect(await b.redis.xlen(b.keys.stream)).toBe(1)
})

test('the history of a package that fails is of the size of its failures, not of what was thrown', async () => {
  const b = await bench(on)
  const text = 'x'.repeat(10_000)
  await b.fill(20)
  const crashes = supervised(
    b,
    'a',
    () => {
      throw new Error(text)
    },
    { maxAttempts: 20, retryDelay: 0, retryMaxDelay: 0 },
  )
  await until(drained(b), 'drained', 20_000)
  expect(crashes).toEqual([])
  const history = await b.redis.memory('USAGE', b.keys.historyOf(1), 'SAMPLES', 0)
  const letters = await b.redis.memory('USAGE', b.keys.dead, 'SAMPLES', 0)
  // A letter carries the last 20 failures in 500 characters each: as much is right for the history.
  expect({ history, letter: Math.round((letters ?? 0) / 20) }).toMatchObject({
    history: expect.toSatisfy((bytes: number) => bytes < 40_000),
  })
})

test('history that is kept of all packages expires also when nothing more is committed', async () => {
  const b = await bench(on)
  const entries = await b.fill(3)
  const session = await b.open('a', { history: 'all', historyTtl: 1000 })
  await b.receive('a', 3)
  await settle(
    session,
    entries.map((entry, i) => ({ entry, kind: 'done', line: 'x', package: i + 1 })),
  )
  expect(await b.redis.xlen(b.keys.history)).toBe(1)
  await until(async () => (await b.redis.exists(b.keys.history)) === 0, 'it has expired')
})

test('an entry of as many fields as are allowed may be retried', async () => {
  const b = await bench(on)
  await openStream(b.redis, b.keys, ['workers'])
  const further = Array.from({ length: 2999 }, (_, i) => [`f${i}`, 'v']).flat()
  await b.redis.xadd(b.keys.stream, '*', 'data', DATA(1), ...further)
  const crashes = supervised(b, 'a', ({ attempt }) => {
    if (attempt < 4) throw new Error('again')
  })
  await until(drained(b), 'drained', 5000)
  expect(crashes).toEqual([])
  expect((await b.dead()).map(({ reason, detail }) => [reason, detail])).toEqual([])
  expect(await b.count('done:a')).toBe(1)
})

test('purging what is left of an earlier life is not counted in this one', async () => {
  const b = await bench(on)
  const kill = async (number: number) => {
    const session = await b.open('a')
    const [entry] = (await b.receive('a', 1)) as [string]
    const dead = { entry, kind: 'dead', reason: 'rejected', detail: '', package: number } as const
    await settle(session, [dead])
    await session.close()
  }
  await b.fill(1)
  await kill(1)
  await b.redis.del(b.keys.stream, b.keys.head)
  await b.fill(1) // a new life
  const [left] = await all(deadLetters(b.redis, b.keys))
  await purgeDeadLetter(b.redis, b.keys, left?.id as string)
  await kill(1)
  const state = await inspect(b.redis, b.keys)
  expect(state.deadLetters).toBe(1)
  expect(state.letters).toEqual({ rejected: 1 })
  expect(state.dead - state.replayed - state.purged).toBe(1)
})

test("what came back for another group is not where this group's package is", async () => {
  const b = await bench(on, ['workers', 'others'])
  const others = keysOf(b.keys.stream, 'others')
  const [entry] = (await b.fill(1)) as [string]
  const a = await b.open('a')
  await b.receive('a', 1)
  await settle(a, [retry(entry, 0)])
  await b.redis.xreadgroup('GROUP', 'others', 'z', 'COUNT', 1, 'STREAMS', b.keys.stream, '>')
  await b.redis.xack(b.keys.stream, 'others', entry) // committed there
  await callDue(b, a)
  expect(await locate(b.redis, others, 1)).toBeUndefined()
})

test('a history note names a foreign consumer whatever its name is', async () => {
  const b = await bench(on)
  await b.fill(1)
  const session = await b.open('a')
  const foreign = 'a "foreign" one'
  await b.receive(foreign, 1)
  const take = new Script('take')
  const { keys } = b
  await take.run(
    session.redis,
    [keys.stream, keys.sessions, keys.beats, keys.dead, keys.counts, keys.history],
    [keys.group, 'a', session.token, foreign, '', '0', 1000, 10, 60_000],
  )
  expect(await packageHistory(b.redis, keys, 1)).toMatchObject([{}, { event: 'claimed', from: foreign }])
})

test('what a message says of its id does not spoil the histogram', async () => {
  const { durations } = { durations: [] as number[] }
  const b = await bench(on)
  const session = await b.open('a')
  Object.assign(session.durations, { endToEnd: { record: (value: number) => durations.push(value) } })
  const conveyor = '{"group":"workers","id":"no id","attempt":2,"replays":0,"failures":[]}'
  await b.redis.xadd(b.keys.stream, '*', 'data', DATA(1), 'conveyor', conveyor)
  const [entry] = (await b.receive('a', 1)) as [string]
  const { decode } = await import('./message.ts')
  const message = decode(entry, ['data', DATA(1), 'conveyor', conveyor], 1)
  const outcomes = await lastValueFrom(
    of([{ entry, message, past: message, received: Date.now() }]).pipe(
      handle(() => {}, { consumer: 'a', concurrency: 1, timeout: 0, signal: session.lost.signal }),
      toArray(),
    ),
  )
  await settle(session, outcomes.flat())
  expect(durations.some(Number.isNaN)).toBe(false)
})

test('a consumer of a group that joins later finds no lengths of an earlier life', async () => {
  const b = await bench(on, ['workers', 'others'])
  const others = keysOf(b.keys.stream, 'others')
  const { openSession } = await import('./session.ts')
  const other = { ...b.options('z'), keys: others, outputDirectory: `${b.directory}/o` }
  const [entry] = (await b.fill(1)) as [string]
  const old = await openSession(other)
  onTestFinished(() => old.dispose())
  await b.redis.xreadgroup('GROUP', 'others', 'z', 'COUNT', 1, 'STREAMS', b.keys.stream, '>')
  await settle(old, [{ entry, kind: 'done', line: 'a line', package: 1 }])
  await old.writer?.flush()
  await old.close()
  old.dispose()
  await b.redis.del(b.keys.stream, b.keys.head)
  await openStream(b.redis, b.keys, ['workers'])
  await b.fill(1)
  const errors: Error[] = []
  const run = consume({ ...other, groups: ['others'], handler: () => {} }).subscribe({
    error: e => errors.push(e),
  })
  onTestFinished(() => run.unsubscribe())
  await until(async () => errors.length > 0 || (await inspect(b.redis, others)).drained, 'it ends', 5000)
  expect(errors.map(String)).toEqual([])
})

test('the letter of an entry with very many fields still has its data', async () => {
  const b = await bench(on)
  await openStream(b.redis, b.keys, ['workers'])
  const further = Array.from({ length: 3600 }, (_, i) => [`f${i}`, 'v']).flat()
  await b.redis.xadd(b.keys.stream, '*', ...further, 'data', DATA(1))
  supervised(b, 'a', () => {})
  await until(async () => (await b.dead()).length === 1, 'dead')
  expect((await b.dead())[0]?.data).toBe(DATA(1))
})

test('what came back and is not delivered is not one package of backlog', async () => {
  const b = await bench(on)
  const entries = await b.fill(100)
  const session = await b.open('a')
  await b.receive('a', 100)
  await settle(
    session,
    entries.map((entry, i) => retry(entry, 0, 'no', i + 1)),
  )
  await callDue(b, session)
  expect((await inspect(b.redis, b.keys)).lag).toBe(100) // MAX_BACKLOG goes by it; it says 1
})

test('packages share no list of failures', async () => {
  const b = await bench(on)
  await b.fill(3)
  const seen: number[] = []
  supervised(b, 'a', ({ failures }) => {
    seen.push(failures.length)
    try {
      ;(failures as unknown[]).push('a note of the handler')
    } catch {} // frozen
  })
  await until(drained(b), 'drained')
  expect(seen).toEqual([0, 0, 0])
})

test('a thenable that changes its mind is an outcome of its package', async () => {
  const b = await bench(on)
  await b.fill(1)
  const crashes = supervised(b, 'a', () => {
    let looks = 0
    return {
      // biome-ignore lint/suspicious/noThenProperty: it is what a handler may return
      get then() {
        return looks++ > 0 ? () => undefined : undefined
      },
    }
  })
  await until(drained(b), 'drained', 3000).catch(() => {})
  expect(crashes.map(String)).toEqual([])
})

test('an entry whose body is gone is not said to be retried, and its story says that it is dead', async () => {
  const b = await bench(on)
  const [entry] = (await b.fill(1)) as [string]
  const session = await b.open('a')
  await b.receive('a', 1)
  await b.redis.xdel(b.keys.stream, entry)
  expect(await settle(session, [retry(entry, 60_000)])).toMatchObject({ dead: 1, retried: 0 })
  expect({ retried: b.of('retried').length, dead: b.of('dead').length }).toEqual({ retried: 0, dead: 1 })
  expect((await packageHistory(b.redis, b.keys, 1)).map(({ event }) => event)).toContain('dead')
})

describe('looking at large letters and entries moves some MB at a time, not all of them', () => {
  const MB = 'x'.repeat(1024 * 1024)
  const sent = async (b: Bench) =>
    Number(/total_net_output_bytes:(\d+)/.exec(await b.redis.info('stats'))?.[1]) / 1e6
  test('letters', async () => {
    const b = await bench(on)
    for (let i = 0; i < 40; i++)
      await b.redis.xadd(
        b.keys.dead,
        '*',
        'reason',
        'x',
        'group',
        'workers',
        'package',
        i + 1,
        'epoch',
        'e',
        'data',
        MB,
      )
    const before = await sent(b)
    for await (const letter of deadLetters(b.redis, b.keys)) if (letter.package === 1) break
    const moved = (await sent(b)) - before
    await b.redis.del(b.keys.dead)
    expect(moved).toBeLessThan(17)
  })
  test('entries', async () => {
    const b = await bench(on)
    await openStream(b.redis, b.keys, ['workers'])
    for (let i = 0; i < 40; i++) await b.redis.xadd(b.keys.stream, '*', 'data', DATA(i + 1), 'more', MB)
    const before = await sent(b)
    expect(await locate(b.redis, b.keys, 1)).toMatchObject({ at: 'undelivered' })
    const moved = (await sent(b)) - before
    await b.redis.del(b.keys.stream)
    expect(moved).toBeLessThan(17)
  })
})

test('a count that somebody has damaged does not stop a commit half way', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const session = await b.open('a')
  await b.receive('a', 2)
  await b.redis.hset(b.keys.counts, 'dead', 'many')
  const outcomes: Outcome[] = [
    { entry: entries[0] as string, kind: 'done', line: 'x', package: 1 },
    { entry: entries[1] as string, kind: 'dead', reason: 'rejected', detail: '', package: 2 },
  ]
  expect(await settle(session, outcomes)).toMatchObject({ done: 1, dead: 1 })
  const left = { pending: (await b.pending()).length, chunks: await b.redis.xlen(b.keys.output('a')) }
  expect({ ...left, letters: (await b.dead()).length }).toEqual({ pending: 0, chunks: 1, letters: 1 })
})

test('letters are replayed and purged whole also when the counts are of another type', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const session = await b.open('a')
  await b.receive('a', 2)
  const outcomes = entries.map(
    (entry, i): Outcome => ({ entry, kind: 'dead', reason: 'rejected', detail: '', package: i + 1 }),
  )
  await settle(session, outcomes)
  await b.redis.set(b.keys.counts, 'something else')
  const [one, two] = await all(deadLetters(b.redis, b.keys))
  expect(await replayDeadLetter(b.redis, b.keys, one?.id as string)).toMatch(/-/)
  expect(await purgeDeadLetter(b.redis, b.keys, two?.id as string)).toBe(true)
  expect(await b.dead()).toEqual([])
  expect(await b.redis.xlen(b.keys.stream)).toBe(3)
})
