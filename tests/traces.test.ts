import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { lastValueFrom, of, Subject, type Subscription } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { append } from '../stream/append.ts'
import { consume } from '../stream/consume.ts'
import { replayDeadLetter } from '../stream/dead-letters.ts'
import { Reject } from '../stream/failure.ts'
import type { Handler } from '../stream/handle.ts'
import { Ingest } from '../stream/ingest.ts'
import { packages } from '../stream/message.ts'
import type { Settings } from '../stream/settings.ts'
import { trim } from '../stream/trim.ts'
import { KeepingSampler, RateLimitedSampler } from '../telemetry/sampler.ts'
import { type Bench, bench, done, settle, until, useRedis } from './redis.ts'
import { parentOf, useTelemetry } from './telemetry.ts'

/** Takes the first so many roots of each test; the clock stands. */
let left = 0
const first = { ...new RateLimitedSampler(1), shouldSample: () => ({ decision: left-- > 0 ? 2 : 0 }) }
const seen = useTelemetry(new KeepingSampler(first))
const shared = useRedis()

async function produce(b: Bench, count: number, sampled: number): Promise<void> {
  left = sampled
  const { url, keys, groups, events } = b
  await lastValueFrom(of([packages(count)]).pipe(append({ url, keys, groups, events })))
}

function start(
  b: Bench,
  handler: Handler = () => {},
  consumer = 'a',
  settings: Partial<Settings> = {},
): Subscription {
  const running = consume({ ...b.options(consumer, settings), handler }).subscribe({ error: () => {} })
  onTestFinished(() => running.unsubscribe())
  return running
}

const idOf = (span: ReadableSpan | undefined) => span?.spanContext().spanId
const linked = (span: ReadableSpan | undefined) => span?.links.map(link => link.context.spanId)

test('a package is one trace: sent, processed, committed, written; batches link to it', async () => {
  const b = await bench(shared)
  await produce(b, 16, 2)
  left = 100 // for the batches
  let inHandler: string | undefined
  start(b, message => {
    if (message.package === 1) inHandler = trace.getActiveSpan()?.spanContext().spanId
  })
  const written = await seen.ended('write', 2)
  const sent = seen.named('send')
  const processed = seen.named('process')
  const committed = seen.named('commit')
  const { stream, group } = b.keys

  expect(sent.map(({ attributes }) => attributes['conveyor.package'])).toEqual([1, 2])
  expect(sent.map(parentOf)).toEqual([undefined, undefined])
  expect(processed.map(parentOf)).toEqual(sent.map(idOf))
  expect(committed.map(parentOf)).toEqual(processed.map(idOf))
  expect(written.map(parentOf)).toEqual(processed.map(idOf))
  expect(new Set(written.map(span => span.spanContext().traceId)).size).toBe(2)
  expect(inHandler).toBe(idOf(processed[0]))

  const polled = seen.named('poll')
  const settled = seen.named('settle')
  expect(polled.flatMap(linked)).toEqual(sent.map(idOf))
  expect(settled.flatMap(linked)).toEqual(processed.map(idOf))
  expect([...polled, ...settled].map(parentOf)).toEqual([undefined, undefined])

  const [entry] = (await b.redis.xrange(stream, '-', '+', 'COUNT', 1))[0] ?? []
  expect([sent[0]?.name, sent[0]?.kind, processed[0]?.kind]).toEqual([`send ${stream}`, 3, 4])
  expect(processed[0]?.attributes).toEqual({
    'messaging.system': 'redis',
    'messaging.destination.name': stream,
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.consumer.group.name': group,
    'messaging.client.id': 'a',
    'messaging.message.id': entry,
    'conveyor.package': 1,
  })
  expect(settled[0]?.attributes).toMatchObject({
    'messaging.operation.type': 'settle',
    'messaging.batch.message_count': 16,
    'server.address': '127.0.0.1',
    'server.port': shared.server.port,
  })
})

test('batches are traces of their own: beyond the rate they have no spans, and packages keep theirs', async () => {
  const b = await bench(shared)
  await produce(b, 16, 2)
  start(b)
  await seen.ended('write', 2)
  expect([...seen.named('poll'), ...seen.named('settle')]).toEqual([])
})

test('what is not sampled has no spans, and its entries carry nothing', async () => {
  const b = await bench(shared)
  await produce(b, 100, 0)
  start(b)
  await until(async () => (await b.count('done:a')) === 100, 'all are done')
  expect(seen.spans.map(({ name }) => name)).toEqual([`create ${b.keys.stream}`])
  const entries = await b.redis.xrange(b.keys.stream, '-', '+')
  expect(new Set(entries.map(([, fields]) => fields.length))).toEqual(new Set([2]))
})

test('what comes from outside goes on in the trace of whoever sent it', async () => {
  const b = await bench(shared)
  left = 0
  const { url, keys, groups } = b
  const ingest = new Ingest({ url, keys, groups })
  onTestFinished(() => ingest.close())
  const caller = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
  const traceparent = `00-${caller.traceId}-${caller.spanId}-01`
  const parent = propagation.extract(ROOT_CONTEXT, { traceparent })
  await Promise.all([ingest.add({ bodies: ['1', '2'], parent }), ingest.add({ bodies: ['3'] })])
  start(b)
  const processed = await seen.ended('process', 2)
  const sent = seen.named('send')
  expect(sent.map(parentOf)).toEqual([caller.spanId])
  expect(sent[0]?.attributes).toMatchObject({ 'conveyor.package': 1, 'messaging.batch.message_count': 2 })
  expect(processed.map(span => [parentOf(span), span.spanContext().traceId])).toEqual(
    [1, 2].map(() => [idOf(sent[0]), caller.traceId]),
  )
})

test('a package belongs to the trace in which it was appended, and keeps one that it brings', async () => {
  const b = await bench(shared)
  left = 1
  const request = trace.getTracer('test').startSpan('request')
  const { url, keys, groups } = b
  const mine = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await context.with(trace.setSpan(context.active(), request), () =>
    lastValueFrom(
      of([packages(1), { ...packages(1), headers: { traceparent: mine } }]).pipe(
        append({ url, keys, groups }),
      ),
    ),
  )
  start(b)
  const processed = await seen.ended('process', 2)
  expect(seen.named('send').map(parentOf)).toEqual([idOf(request as unknown as ReadableSpan)])
  expect(parentOf(processed[1])).toBe('b7ad6b7169203331')
})

test('the last package number ends the spans: what was not given out has none', async () => {
  const b = await bench(shared)
  left = 10
  const { url, keys, groups } = b
  await lastValueFrom(of([packages(10)]).pipe(append({ url, keys, groups, last: 3 })))
  expect(seen.named('send').map(({ attributes }) => attributes['conveyor.package'])).toEqual([1, 2, 3])
})

test('a dead letter is traced whatever the rate, and said so within its trace', async () => {
  const b = await bench(shared)
  await produce(b, 2, 0)
  const traces: unknown[] = []
  b.events.subscribe(event => {
    if (event.type === 'dead') traces.push(trace.getActiveSpan()?.spanContext().traceId)
  })
  start(b, ({ package: number }) => {
    if (number === 2) throw new Reject('secret')
  })
  const [committed] = await seen.ended('commit', 1)
  expect(committed?.attributes).toMatchObject({
    'conveyor.package': 2,
    'conveyor.outcome': 'dead',
    'error.type': 'rejected',
  })
  expect(committed?.status.code).toBe(2)
  expect(traces).toEqual([committed?.spanContext().traceId])
  expect(
    JSON.stringify(seen.spans.map(({ attributes, events, status }) => [attributes, events, status])),
  ).not.toContain('secret')
})

/** At once. */
const AGAIN = { retryDelay: 0, retryMaxDelay: 0, maxAttempts: 3 }

const traceOf = (span: ReadableSpan | undefined) => span?.spanContext().traceId
const valuesOf = (spans: ReadableSpan[], attribute: string) =>
  spans.map(({ attributes }) => attributes[attribute])

async function replayFirst(b: Bench): Promise<void> {
  const [[letter = ''] = []] = await b.redis.xrange(b.keys.dead, '-', '+', 'COUNT', 1)
  await replayDeadLetter(b.redis, b.keys, letter)
}

test('a package that fails is one trace from its first failure on, until it was replayed and is done', async () => {
  const b = await bench(shared)
  await produce(b, 1, 0)
  let mended = false
  const fail: Handler = () => {
    if (!mended) throw new Error('secret')
  }
  start(b, fail, 'a', AGAIN)
  await until(() => b.of('dead').length === 1, 'it is dead')
  mended = true
  await replayFirst(b)
  const [written] = await seen.ended('write', 1)
  const processed = seen.named('process')
  const committed = seen.named('commit')
  const [replayed] = seen.named('replay')
  const all = [...processed, ...committed, replayed, written]
  expect(all.map(traceOf)).toEqual(all.map(() => traceOf(processed[0])))

  const [begun] = processed.map(idOf)
  expect(processed.map(parentOf)).toEqual([undefined, begun, begun, begun])
  expect(parentOf(replayed)).toBe(begun)
  expect(committed.map(parentOf)).toEqual(processed.map(idOf))
  expect(parentOf(written)).toBe(idOf(processed[3]))

  const failures = ['handler failed', 'handler failed', 'handler failed', undefined]
  for (const spans of [processed, committed]) {
    expect(valuesOf(spans, 'error.type')).toEqual(failures)
    expect(spans.map(({ status }) => status.code)).toEqual([2, 2, 2, 0])
  }
  expect(valuesOf(processed, 'conveyor.attempt')).toEqual([undefined, 2, 3, undefined])
  expect(valuesOf(processed, 'conveyor.replays')).toEqual([undefined, undefined, undefined, 1])
  expect(valuesOf(committed, 'conveyor.outcome')).toEqual(['retry', 'retry', 'dead', 'done'])
  expect(valuesOf(committed, 'conveyor.retry.delay')).toEqual([0, 0, undefined, undefined])
  expect(valuesOf(processed, 'conveyor.package')).toEqual([1, 1, 1, 1])
  expect(replayed?.attributes).toMatchObject({
    'messaging.operation.name': 'replay',
    'messaging.consumer.group.name': 'workers',
    'messaging.message.id': processed[3]?.attributes['messaging.message.id'],
    'conveyor.package': 1,
    'conveyor.replays': 1,
  })
  expect(JSON.stringify(seen.spans.map(({ attributes, events }) => [attributes, events]))).not.toContain(
    'secret',
  )
})

test('a package that is sampled keeps its trace: each attempt, and the replay, is a child of its being sent', async () => {
  const b = await bench(shared)
  await produce(b, 1, 1)
  let mended = false
  const fail: Handler = (_, { attempt }) => {
    if (!mended && attempt < 3) throw new Error('not yet')
    if (!mended) throw new Reject('never')
  }
  start(b, fail, 'a', AGAIN)
  await until(() => b.of('dead').length === 1, 'it is dead')
  mended = true
  await replayFirst(b)
  await seen.ended('write', 1)
  const [sent] = seen.named('send')
  const children = [...seen.named('process'), ...seen.named('replay')]
  expect(children).toHaveLength(5)
  expect(children.map(parentOf)).toEqual(children.map(() => idOf(sent)))
  expect(valuesOf(seen.named('process'), 'conveyor.attempt')).toEqual([undefined, 2, 3, undefined])
  expect(seen.named('commit').map(traceOf)).toEqual(Array(4).fill(traceOf(sent)))
})

test('a package whose consumer died begins its trace when it is handled again, and keeps it', async () => {
  const b = await bench(shared)
  await produce(b, 1, 0)
  const dead = await b.open('dead')
  await b.receive('dead', 1)
  start(
    b,
    (_, { attempt }) => {
      if (attempt < 3) throw new Error('not yet')
    },
    'a',
    AGAIN,
  )
  await seen.ended('write', 1)
  dead.dispose()
  const processed = seen.named('process')
  expect(valuesOf(processed, 'conveyor.deliveries')).toEqual([2, undefined, undefined])
  expect(valuesOf(processed, 'conveyor.claimed_from')).toEqual(['dead', undefined, undefined])
  expect(processed.map(parentOf)).toEqual([undefined, idOf(processed[0]), idOf(processed[0])])
  expect(new Set(seen.named('commit').map(traceOf))).toEqual(new Set([traceOf(processed[0])]))
})

test('what no handler can be given keeps its trace, and says how often it was tried', async () => {
  const b = await bench(shared)
  await produce(b, 1, 0)
  const sender = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const returned = JSON.stringify({ group: 'workers', id: '1-1', attempt: 2, replays: 1, failures: [] })
  await b.redis.xadd(
    b.keys.stream,
    '*',
    'greeting',
    'hello',
    'conveyor',
    returned,
    'conveyor-sequence',
    1,
    'traceparent',
    sender,
  )
  start(b)
  const [processed] = await seen.ended('process', 1)
  await until(() => b.of('dead').length === 1, 'it is dead')
  expect(parentOf(processed)).toBe('b7ad6b7169203331')
  expect(processed?.attributes).toMatchObject({
    'error.type': 'no data',
    'conveyor.attempt': 2,
    'conveyor.replays': 1,
  })
  expect(await b.dead()).toMatchObject([{ reason: 'no data', traceparent: sender }])
})

test('a claimed package is processed in its own trace, which says from whom; the claim is linked', async () => {
  const b = await bench(shared)
  await produce(b, 3, 1)
  const dead = await b.open('dead')
  await b.receive('dead', 3)
  start(b)
  const processed = await seen.ended('process', 3)
  dead.dispose()
  const [claim] = seen.named('claim')
  expect(claim?.attributes).toMatchObject({
    'conveyor.claimed_from': 'dead',
    'messaging.batch.message_count': 3,
  })
  const [sent] = seen.named('send')
  expect(processed.map(parentOf)).toEqual([idOf(sent), undefined, undefined])
  for (const span of processed) {
    expect(span.attributes).toMatchObject({ 'conveyor.claimed_from': 'dead', 'messaging.client.id': 'a' })
    expect(linked(span)).toEqual([idOf(claim)])
  }
})

test('an outcome that comes too late is a fenced commit in the trace of the package', async () => {
  const b = await bench(shared)
  await produce(b, 2, 1)
  const slow = await b.open('slow')
  const entries = await b.receive('slow', 2)
  start(b)
  await seen.ended('process', 2)
  await expect(settle(slow, done(entries))).rejects.toThrow('FENCED')
  const fenced = seen.named('commit').filter(({ attributes }) => attributes['conveyor.fenced'])
  expect(fenced.map(({ attributes }) => attributes['messaging.message.id'])).toEqual(entries)
  expect(fenced.map(({ attributes }) => attributes['messaging.client.id'])).toEqual(['slow', 'slow'])
  expect(fenced.map(({ status }) => status.code)).toEqual([2, 2])
  expect(seen.named('settle').map(({ attributes }) => attributes['conveyor.fenced'])).toContain(2)
})

test('beginning a run, trimming, and writing what a dead peer left have spans', async () => {
  const b = await bench(shared)
  await produce(b, 200, 0)
  const dead = await b.open('dead')
  const entries = await b.receive('dead', 200)
  await settle(dead, done(entries))
  start(b)
  await seen.ended('flush', 1)
  const epoch = dead.epoch
  const logged = new Subject<unknown>()
  b.events.subscribe(
    event => event.type === 'trimmed' && logged.next(trace.getActiveSpan()?.spanContext().spanId),
  )
  const told = lastValueFrom(logged)
  await trim(shared.redis, b.keys, { epoch, above: 100, to: 50, events: b.events })
  logged.complete()
  const [trimmed] = seen.named('trim')
  expect(trimmed?.attributes).toMatchObject({ 'conveyor.removed': 150, 'conveyor.length': 50 })
  expect(await told).toBe(idOf(trimmed))
  expect(seen.named('create')[0]?.attributes).toMatchObject({ 'conveyor.epoch': epoch })
  expect(seen.named('flush')[0]?.attributes).toMatchObject({ 'messaging.client.id': 'dead' })
})
