import { expect, onTestFinished, test } from 'vitest'
import { consume } from '../stream/consume.ts'
import { inspect } from '../stream/inspect.ts'
import { measureConsumer } from '../stream/measure-consumer.ts'
import { measureProducer } from '../stream/measure-producer.ts'
import { KeepingSampler, RateLimitedSampler } from '../telemetry/sampler.ts'
import { bench, settle, until, useRedis } from './redis.ts'
import { useTelemetry } from './telemetry.ts'

const seen = useTelemetry(new KeepingSampler(new RateLimitedSampler(0)))
const shared = useRedis()

interface Histogram {
  readonly count: number
  readonly buckets: { readonly boundaries: number[] }
}

const NONE: Histogram = { count: 0, buckets: { boundaries: [] } }

const sum = (points: { value: unknown }[] | undefined) =>
  points?.reduce((all, { value }) => all + Number(value), 0)

test('every package is counted and timed once', async () => {
  const b = await bench(shared)
  await b.fill(1000)
  const measured = measureConsumer(b.events, 'counted')
  onTestFinished(() => measured.unsubscribe())
  const running = consume({ ...b.options('counted'), handler: () => {} }).subscribe()
  await until(async () => (await b.count('done:counted')) === 1000, 'all are done')
  const metrics = await seen.metrics()
  running.unsubscribe()
  const mine = metrics.get('messages_processed')?.filter(point => 'consumer' in point.attributes)
  expect(mine).toEqual([{ attributes: { consumer: 'counted' }, value: 1000 }])
  for (const name of ['messaging.process.duration', 'conveyor.end_to_end.duration']) {
    const points = metrics.get(name) ?? []
    expect(
      points.map(({ attributes }) => attributes),
      name,
    ).toEqual([{}])
    const { count, buckets } = points.map(({ value }) => value as Histogram)[0] ?? NONE
    expect([count, buckets.boundaries.includes(0.0005)], name).toEqual([1000, true])
  }
  expect(sum(metrics.get('conveyor.fenced'))).toBe(0)
})

test('what went wrong is counted, without a label that grows', async () => {
  const b = await bench(shared)
  await b.fill(2)
  const measured = measureConsumer(b.events, 'a')
  onTestFinished(() => measured.unsubscribe())
  const before = await seen.metrics()
  const [session, peer] = [await b.open('a'), await b.open('peer')]
  const entries = await b.receive('a', 2)
  await b.redis.xclaim(b.keys.stream, b.keys.group, 'peer', 0, entries[0] as string)
  const outcomes = entries.map(entry => ({
    entry,
    kind: 'dead' as const,
    reason: 'handler failed',
    detail: entry,
  }))
  expect(await settle(session, outcomes)).toEqual({ done: 0, dead: 1, fenced: 1 })
  peer.dispose()
  const after = await seen.metrics()
  expect(sum(after.get('conveyor.fenced'))).toBe((sum(before.get('conveyor.fenced')) ?? 0) + 1)
  expect(after.get('conveyor.dead')).toEqual([{ attributes: { 'error.type': 'handler failed' }, value: 1 }])
})

test('gauges show the stream as it is: also after it has shrunk, and without those that are gone', async () => {
  const b = await bench(shared)
  await b.fill(10)
  const load = { backpressure: false, pinnedBy: null as string | null }
  const measured = measureProducer(b.events, () => load)
  onTestFinished(() => measured.unsubscribe())
  const session = await b.open('a')
  const entries = await b.receive('a', 4)
  const look = async () =>
    b.events.next({ type: 'inspected', group: 'workers', state: await inspect(b.redis, b.keys) })
  const group = { 'messaging.consumer.group.name': 'workers' }
  await look()
  load.backpressure = true
  load.pinnedBy = 'workers'
  let metrics = await seen.metrics()
  expect(metrics.get('stream_length_current')).toEqual([{ attributes: {}, value: 10 }])
  expect(metrics.get('conveyor.packages.given_out')).toEqual([{ attributes: {}, value: 10 }])
  expect(metrics.get('conveyor.lag')).toEqual([{ attributes: group, value: 6 }])
  expect(metrics.get('conveyor.pending')).toEqual([{ attributes: { ...group, consumer: 'a' }, value: 4 }])
  expect(metrics.get('conveyor.stream.pinned')).toEqual([{ attributes: group, value: 1 }])
  expect(metrics.get('conveyor.backpressure')).toContainEqual({ attributes: { reason: 'backlog' }, value: 1 })
  expect(metrics.get('conveyor.heartbeat.age')?.[0]?.attributes).toEqual({ ...group, consumer: 'a' })
  await settle(
    session,
    entries.map(entry => ({ entry, kind: 'done', line: 'x' })),
  )
  await b.redis.xtrim(b.keys.stream, 'MAXLEN', 6)
  await look()
  metrics = await seen.metrics()
  expect(metrics.get('stream_length_current')).toEqual([{ attributes: {}, value: 6 }])
  expect(metrics.get('conveyor.packages.done')).toEqual([{ attributes: {}, value: 4 }])
  expect(metrics.get('conveyor.pending')).toEqual([{ attributes: { ...group, consumer: 'a' }, value: 0 }])
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
  const metrics = await seen.metrics()
  expect(metrics.get('conveyor.held')).toEqual([{ attributes: {}, value: 2 }])
  expect(metrics.get('conveyor.backpressure')).toContainEqual({ attributes: { reason: 'held' }, value: 1 })
  expect(metrics.get('conveyor.backpressure')).toContainEqual({ attributes: { reason: 'disk' }, value: 0 })
  release()
  running.unsubscribe()
})
