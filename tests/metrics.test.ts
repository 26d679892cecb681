import { of } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { consume } from '../stream/consume.ts'
import { deadLetters, purgeDeadLetter, replayDeadLetter } from '../stream/dead-letters.ts'
import { Reject, RetryLater } from '../stream/failure.ts'
import type { Handler } from '../stream/handle.ts'
import { inspect } from '../stream/inspect.ts'
import { measureConsumer } from '../stream/measure-consumer.ts'
import { measureProducer } from '../stream/measure-producer.ts'
import { REASONS } from '../stream/reasons.ts'
import { KeepingSampler, RateLimitedSampler } from '../telemetry/sampler.ts'
import { type Bench, bench, settle, until, useRedis } from './redis.ts'
import { useTelemetry } from './telemetry.ts'

const seen = useTelemetry(new KeepingSampler(new RateLimitedSampler(0)))
const shared = useRedis()

interface Histogram {
  readonly count: number
  readonly buckets: { readonly boundaries: number[] }
}

const NONE: Histogram = { count: 0, buckets: { boundaries: [] } }

/** Attributes of what is about a test's stream, and of what is about its group. */
const ofStream = ({ keys }: Bench) => ({ 'messaging.destination.name': keys.stream })
const ofGroup = (b: Bench) => ({ ...ofStream(b), 'messaging.consumer.group.name': b.keys.group })

/** Metric name -> its points that are about a test's stream. */
async function metricsOf({ keys }: Bench) {
  const mine = (attributes: object) =>
    (attributes as Record<string, unknown>)['messaging.destination.name'] === keys.stream
  const found = [...(await seen.metrics())].map(
    ([name, points]) => [name, points.filter(({ attributes }) => mine(attributes))] as const,
  )
  return new Map(found)
}

const sum = (points: { value: unknown }[] | undefined) =>
  points?.reduce((all, { value }) => all + Number(value), 0)

test('every package is counted and timed once', async () => {
  const b = await bench(shared)
  await b.fill(1000)
  const measured = measureConsumer(b.events, b.keys, 'counted')
  onTestFinished(() => measured.unsubscribe())
  const running = consume({ ...b.options('counted'), handler: () => {} }).subscribe()
  await until(async () => (await b.count('done:counted')) === 1000, 'all are done')
  const metrics = await metricsOf(b)
  running.unsubscribe()
  const attributes = { ...ofGroup(b), consumer: 'counted' }
  expect(metrics.get('messages_processed')).toEqual([{ attributes, value: 1000 }])
  const [lately, memory] = ['messages_per_second', 'consumer_memory_usage'].map(name => metrics.get(name))
  expect([lately, memory].map(points => points?.map(point => point.attributes))).toEqual([
    [attributes],
    [attributes],
  ])
  expect(lately?.[0]?.value).toBeGreaterThan(0)
  expect(memory?.[0]?.value).toBeGreaterThan(10_000_000)
  for (const name of ['messaging.process.duration', 'conveyor.end_to_end.duration']) {
    const points = metrics.get(name) ?? []
    expect(
      points.map(({ attributes }) => attributes),
      name,
    ).toEqual([ofGroup(b)])
    const { count, buckets } = points.map(({ value }) => value as Histogram)[0] ?? NONE
    expect([count, buckets.boundaries.includes(0.0005)], name).toEqual([1000, true])
  }
  expect(sum(metrics.get('conveyor.fenced'))).toBe(0)
})

test('what went wrong is counted, without a label that grows', async () => {
  const b = await bench(shared)
  await b.fill(2)
  const measured = measureConsumer(b.events, b.keys, 'a')
  onTestFinished(() => measured.unsubscribe())
  const before = await metricsOf(b)
  const [session, peer] = [await b.open('a'), await b.open('peer')]
  const entries = await b.receive('a', 2)
  await b.redis.xclaim(b.keys.stream, b.keys.group, 'peer', 0, entries[0] as string)
  const outcomes = entries.map(entry => ({
    entry,
    kind: 'dead' as const,
    reason: 'handler failed',
    detail: entry,
  }))
  expect(await settle(session, outcomes)).toEqual({ done: 0, retried: 0, dead: 1, fenced: 1, forwarded: 0 })
  peer.dispose()
  const after = await metricsOf(b)
  expect(sum(after.get('conveyor.fenced'))).toBe((sum(before.get('conveyor.fenced')) ?? 0) + 1)
  const dead = after.get('conveyor.dead')
  expect(dead).toContainEqual({ attributes: { ...ofGroup(b), 'error.type': 'handler failed' }, value: 1 })
  expect(dead).toContainEqual({ attributes: { ...ofGroup(b), 'error.type': 'rejected' }, value: 0 })
  expect([sum(before.get('conveyor.dead')), sum(dead)]).toEqual([0, 1])
  expect(dead?.map(({ attributes }) => Object(attributes)['error.type']).sort()).toEqual([...REASONS].sort())
})

test('gauges show the stream as it is: also after it has shrunk, and without those that are gone', async () => {
  const b = await bench(shared)
  await b.fill(10)
  const load = { backpressure: false, pinnedBy: null as string | null }
  const measured = measureProducer(b.events, b.keys.stream, () => load)
  onTestFinished(() => measured.unsubscribe())
  const session = await b.open('a')
  const entries = await b.receive('a', 4)
  const look = async () =>
    b.events.next({ type: 'inspected', group: 'workers', state: await inspect(b.redis, b.keys) })
  const [stream, group] = [ofStream(b), ofGroup(b)]
  await look()
  load.backpressure = true
  load.pinnedBy = 'workers'
  let metrics = await metricsOf(b)
  expect(metrics.get('stream_length_current')).toEqual([{ attributes: stream, value: 10 }])
  expect(metrics.get('conveyor.packages.given_out')).toEqual([{ attributes: stream, value: 10 }])
  expect(metrics.get('conveyor.lag')).toEqual([{ attributes: group, value: 6 }])
  expect(metrics.get('conveyor.pending')).toEqual([{ attributes: { ...group, consumer: 'a' }, value: 4 }])
  expect(metrics.get('conveyor.stream.pinned')).toEqual([{ attributes: group, value: 1 }])
  expect(metrics.get('conveyor.backpressure')).toContainEqual({
    attributes: { ...stream, reason: 'backlog' },
    value: 1,
  })
  expect(metrics.get('conveyor.heartbeat.age')?.[0]?.attributes).toEqual({ ...group, consumer: 'a' })
  await settle(
    session,
    entries.map(entry => ({ entry, kind: 'done', line: 'x' })),
  )
  await b.redis.xtrim(b.keys.stream, 'MAXLEN', 6)
  await look()
  metrics = await metricsOf(b)
  expect(metrics.get('stream_length_current')).toEqual([{ attributes: stream, value: 6 }])
  expect(metrics.get('conveyor.packages.done')).toEqual([{ attributes: stream, value: 4 }])
  expect(metrics.get('conveyor.pending')).toEqual([{ attributes: { ...group, consumer: 'a' }, value: 0 }])
})

/** What the producer's metrics say of a stream as it is now. */
async function look(b: Bench) {
  b.events.next({ type: 'inspected', group: 'workers', state: await inspect(b.redis, b.keys) })
  const metrics = await metricsOf(b)
  const of = (name: string) => sum(metrics.get(name)) ?? Number.NaN
  return {
    metrics,
    overdue: of('conveyor.retry.overdue'),
    /** What became of all packages that were given out. */
    known: {
      done: of('conveyor.packages.done'),
      waiting: of('conveyor.retry.waiting'),
      letters: of('conveyor.dead_letters_by_reason'),
      purged: of('conveyor.purged'),
      pending: of('conveyor.pending'),
      lag: of('conveyor.lag'),
    },
  }
}

test('a package that fails is counted in one place at a time: waiting, dead, given up or done', async () => {
  const b = await bench(shared)
  await b.fill(20)
  for (const measured of [
    measureProducer(b.events, b.keys.stream, () => ({ backpressure: false, pinnedBy: null })),
    measureConsumer(b.events, b.keys, 'a'),
  ])
    onTestFinished(() => measured.unsubscribe())
  const before = await metricsOf(b)
  let mended = false
  const handler: Handler = ({ package: number }, { attempt }) => {
    if (number === 1 && attempt < 3) throw new Error('not yet')
    if (number === 2 && attempt < 2) throw new RetryLater(3600_000)
    if (number === 3 || number === 4) throw new Reject(`never ${number}`)
    if (number === 5 && !mended) throw new Error('not before it is mended')
  }
  const settings = { retryDelay: 1, retryMaxDelay: 1, maxAttempts: 3 }
  const running = consume({ ...b.options('a', settings), handler }).subscribe()
  onTestFinished(() => running.unsubscribe())
  await until(() => b.of('dead').length === 3, 'three are dead')
  await until(async () => (await b.count('done:a')) === 16, 'one waits, the others are done')

  const failed = await look(b)
  expect(failed.known).toEqual({ done: 16, waiting: 1, letters: 3, purged: 0, pending: 0, lag: 0 })
  expect(failed.overdue).toBe(0)
  expect(failed.metrics.get('conveyor.dead_letters_by_reason')).toEqual([
    { attributes: { ...ofGroup(b), 'error.type': 'rejected' }, value: 2 },
    { attributes: { ...ofGroup(b), 'error.type': 'handler failed' }, value: 1 },
  ])
  const retries = failed.metrics.get('conveyor.retries')
  expect(retries).toContainEqual({ attributes: { ...ofGroup(b), 'error.type': 'handler timeout' }, value: 0 })
  expect(sum(retries)).toBe((sum(before.get('conveyor.retries')) ?? 0) + 5)
  const returns = b.of('returned').reduce((all, { count }) => all + count, 0)
  expect(returns, 'twice each of those that failed').toBe(4)
  const returned = sum((await metricsOf(b)).get('conveyor.returned'))
  expect(returned).toBe((sum(before.get('conveyor.returned')) ?? 0) + 4)

  const letters = new Map<number | undefined, string>()
  for await (const { package: number, id } of deadLetters(b.redis, b.keys)) letters.set(number, id)
  const letterOf = (number: number) => letters.get(number) ?? ''
  mended = true
  await purgeDeadLetter(b.redis, b.keys, letterOf(4))
  await replayDeadLetter(b.redis, b.keys, letterOf(5))
  await replayDeadLetter(b.redis, b.keys, letterOf(3))
  await until(() => b.of('dead').length === 4, 'the third dies a second time')
  await until(async () => (await b.count('done:a')) === 17, 'the fifth is done')
  const replayed = await look(b)
  expect(replayed.known).toEqual({ done: 17, waiting: 1, letters: 1, purged: 1, pending: 0, lag: 0 })
  expect(replayed.metrics.get('conveyor.replays')).toEqual([{ attributes: ofGroup(b), value: 2 }])
  expect(replayed.metrics.get('conveyor.dead_letters_by_reason')).toContainEqual({
    attributes: { ...ofGroup(b), 'error.type': 'handler failed' },
    value: 0,
  })
})

test('a retry that nobody returns is overdue; a reason that nobody knows is `_OTHER`', async () => {
  const b = await bench(shared)
  await b.fill(1)
  const measured = measureProducer(b.events, b.keys.stream, () => ({ backpressure: false, pinnedBy: null }))
  onTestFinished(() => measured.unsubscribe())
  const session = await b.open('a')
  const [entry = ''] = await b.receive('a', 1)
  const past = { id: entry, attempt: 2, replays: 0, failures: [] }
  await settle(session, [{ entry, kind: 'retry', delay: 1, reason: 'handler failed', detail: '', past }])
  await b.redis.hset(b.keys.counts, 'letters:one of somebody else', 2, 'letters:and another', 3)
  await until(async () => (await look(b)).overdue > 0.05, 'it is overdue')
  const { metrics } = await look(b)
  expect(metrics.get('conveyor.retry.waiting')).toEqual([{ attributes: ofGroup(b), value: 1 }])
  const letters = metrics.get('conveyor.dead_letters_by_reason')
  expect(letters).toContainEqual({ attributes: { ...ofGroup(b), 'error.type': '_OTHER' }, value: 5 })
  expect(JSON.stringify(letters)).not.toContain('somebody')
})

test('a consumer that left has nothing pending, instead of what it had when it was last seen', async () => {
  const b = await bench(shared)
  await b.fill(3)
  const measured = measureProducer(b.events, b.keys.stream, () => ({ backpressure: false, pinnedBy: null }))
  onTestFinished(() => measured.unsubscribe())
  await b.redis.xgroup('CREATECONSUMER', b.keys.stream, b.keys.group, 'leaver')
  await b.receive('leaver', 3)
  const pending = async () => (await look(b)).metrics.get('conveyor.pending')
  const attributes = { ...ofGroup(b), consumer: 'leaver' }
  expect(await pending()).toContainEqual({ attributes, value: 3 })
  await b.redis.xgroup('DELCONSUMER', b.keys.stream, b.keys.group, 'leaver')
  expect(await pending()).toContainEqual({ attributes, value: 0 })
})

test('a dead letter that an earlier run has left is not counted when it is purged', async () => {
  const b = await bench(shared)
  await b.fill(1)
  const session = await b.open('a')
  const [entry = ''] = await b.receive('a', 1)
  const letter = { kind: 'dead', reason: 'rejected', detail: '' } as const
  await settle(session, [{ entry, ...letter }])
  const [[old = ''] = []] = await b.redis.xrange(b.keys.dead, '-', '+')
  await b.redis.del(b.keys.stream, b.keys.head)
  await b.fill(1)
  expect(await purgeDeadLetter(b.redis, b.keys, old)).toBe(true)
  const { purged, letters } = await inspect(b.redis, b.keys)
  expect({ purged, letters }).toEqual({ purged: 0, letters: {} })
})

test('totals of a run begin anew with the next', async () => {
  const b = await bench(shared)
  const measured = measureProducer(b.events, b.keys.stream, () => ({ backpressure: false, pinnedBy: null }))
  onTestFinished(() => measured.unsubscribe())
  await b.fill(1)
  const shown: unknown[] = []
  for (const purged of [7, 2, 3]) {
    await b.redis.hset(b.keys.counts, 'purged', purged)
    shown.push((await look(b)).known.purged)
  }
  expect(shown).toEqual([7, 2, 3])
})

test('what a session holds is shown while it lasts', async () => {
  const b = await bench(shared)
  await b.fill(3)
  let release = () => {}
  const blocked = new Promise<void>(resolve => {
    release = resolve
  })
  const running = consume({
    ...b.options('a', { maxHeld: 2, batch: 2 }),
    handler: () => blocked,
  }).subscribe()
  await until(async () => (await b.pending('a')).length === 2, 'two are held')
  const metrics = await metricsOf(b)
  expect(metrics.get('conveyor.held')).toEqual([{ attributes: ofGroup(b), value: 2 }])
  expect(metrics.get('conveyor.backpressure')).toContainEqual({
    attributes: { ...ofGroup(b), reason: 'held' },
    value: 1,
  })
  expect(metrics.get('conveyor.backpressure')).toContainEqual({
    attributes: { ...ofGroup(b), reason: 'disk' },
    value: 0,
  })
  release()
  running.unsubscribe()
})

test('the time in which a consumer has nothing to do is counted, from one session to the next', async () => {
  const b = await bench(shared)
  let release = () => {}
  const handler = () =>
    new Promise<void>(resolve => {
      release = resolve
    })
  const running = consume({ ...b.options('a'), handler }).subscribe()
  onTestFinished(() => running.unsubscribe())
  const idle = async () => {
    const [point] = (await metricsOf(b)).get('conveyor.idle.time') ?? []
    expect(point?.attributes ?? { ...ofGroup(b), consumer: 'a' }).toEqual({ ...ofGroup(b), consumer: 'a' })
    return Number(point?.value ?? 0)
  }
  await until(async () => (await idle()) > 0.2, 'it waits for entries')
  await b.fill(1)
  await until(() => b.of('delivered').length === 1, 'it has something to do')
  const before = await idle()
  const pause = performance.now() + 100
  await until(() => performance.now() > pause, 'time that must not count')
  expect(await idle()).toBe(before)
  release()
  await until(async () => (await idle()) > before, 'it waits again')

  await b.redis.call('CLIENT', 'KILL', 'TYPE', 'normal')
  await until(() => b.of('restarting').length > 0, 'the session is lost')
  const lost = await idle()
  expect(lost).toBeGreaterThan(before)
  await until(() => b.of('sessionOpened').length === 2, 'another session')
  expect(await idle()).toBeGreaterThanOrEqual(lost)
  await until(async () => (await idle()) > lost, 'it waits for entries once more')
})

test('two stages: each queue has its own length, messages done, messages rejected and idle time', async () => {
  const [a, b] = [await bench(shared), await bench(shared)]
  await a.fill(20)
  for (const each of [a, b]) {
    const measured = measureProducer(each.events, each.keys.stream, () => ({
      backpressure: false,
      pinnedBy: null,
    }))
    measured.add(measureConsumer(each.events, each.keys, 'c'))
    onTestFinished(() => measured.unsubscribe())
  }
  const forward = { keys: b.keys, groups: b.groups, full: of(false) }
  const first: Handler = ({ package: number }) => {
    if (number <= 3) throw new Reject('never')
    return { number }
  }
  const second: Handler = ({ package: number }) => {
    if (number === 1) throw new Reject('not here')
  }
  const running = consume({ ...a.options('c'), forward, handler: first }).subscribe()
  running.add(consume({ ...b.options('c'), handler: second }).subscribe())
  onTestFinished(() => running.unsubscribe())
  await until(async () => (await b.count('done:c')) === 16, 'both stages are done')
  await until(() => b.of('dead').length === 1, 'one is rejected by the second')
  const shown = async (each: Bench) => {
    const { known, metrics } = await look(each)
    const rejected = { ...ofGroup(each), 'error.type': 'rejected' }
    return {
      length: sum(metrics.get('stream_length_current')),
      done: sum(metrics.get('messages_processed')),
      forwarded: sum(metrics.get('conveyor.forwarded')),
      rejected: metrics.get('conveyor.dead')?.filter(({ value }) => value !== 0),
      known,
      ofRejected: [{ attributes: rejected, value: known.letters }],
      idle: sum(metrics.get('conveyor.idle.time')) ?? 0,
    }
  }
  const [one, two] = [await shown(a), await shown(b)]
  expect(one).toMatchObject({ length: 20, done: 17, forwarded: 17, known: { done: 17, letters: 3 } })
  expect(two).toMatchObject({ length: 17, done: 16, forwarded: 0, known: { done: 16, letters: 1 } })
  for (const { rejected, ofRejected, idle } of [one, two]) {
    expect(rejected).toEqual(ofRejected)
    expect(idle).toBeGreaterThan(0)
  }
})
