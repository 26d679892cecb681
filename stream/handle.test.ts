import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api'
import { lastValueFrom, of, Subject, toArray } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { expect, test, vi } from 'vitest'
import { until } from '../tests/redis.ts'
import { Reject, RetryLater } from './failure.ts'
import { type HandleOptions, type Handler, type HandlerContext, handle } from './handle.ts'
import { type Message, Poison } from './message.ts'
import type { Outcome } from './outcome.ts'
import type { Delivery } from './read.ts'

const delivery = (n: number, more: Partial<Message> = {}): Delivery => ({
  entry: `${n}-0`,
  received: 5,
  message: {
    entry: `${n}-0`,
    id: `${n}-0`,
    package: n,
    timestamp: 17,
    payload: { package: n },
    deliveries: 1,
    attempt: 1,
    replays: 0,
    failures: [],
    ...more,
  },
})
const deliveries = (...numbers: number[]) => numbers.map(n => delivery(n))
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
const options = (more: Partial<HandleOptions> = {}): HandleOptions => ({
  consumer: 'a',
  concurrency: 4,
  timeout: 0,
  signal: new AbortController().signal,
  ...more,
})
const outcomes = async (handler: Handler, batches: Delivery[][], more: Partial<HandleOptions> = {}) =>
  (await lastValueFrom(of(...batches).pipe(handle(handler, options(more)), toArray()))).flat()
const kinds = (found: Outcome[]) => found.map(outcome => [outcome.entry, outcome.kind])

/** A handler whose calls the test ends one by one. */
function byHand() {
  const calls = new Map<
    number,
    { end: (value?: unknown) => void; fail: (error: unknown) => void; signal: AbortSignal }
  >()
  const handler: Handler = (message, { signal }) =>
    new Promise((end, fail) => calls.set(message.package, { end, fail, signal }))
  return { calls, handler }
}

test('returning is done, with the line that other tools read', async () => {
  expect(await outcomes(() => undefined, [deliveries(7)])).toEqual([
    {
      entry: '7-0',
      package: 7,
      kind: 'done',
      line: 'Consumer a processed package 7 (timestamp: 17)',
      received: 5,
    },
  ])
})

test('a returned text is the line; any other value is not', async () => {
  const values: unknown[] = ['mine', '', 5, null, { line: 'x' }]
  const found = await outcomes(({ package: n }) => values[n - 1], [deliveries(1, 2, 3, 4, 5)])
  expect(found.map(outcome => outcome.kind === 'done' && outcome.line.slice(0, 10))).toEqual([
    'mine',
    '',
    'Consumer a',
    'Consumer a',
    'Consumer a',
  ])
})

test('a batch that is handled synchronously is one group, in order', async () => {
  const groups = await lastValueFrom(
    of(deliveries(...upTo(100))).pipe(
      handle(() => {}, options()),
      toArray(),
    ),
  )
  expect(groups).toHaveLength(1)
  expect(groups[0]?.map(({ entry }) => entry)).toEqual(upTo(100).map(n => `${n}-0`))
})

test('a line with a newline is refused, because it would be two lines in the file', async () => {
  for (const line of ['a\nb', '\n', 'a\r\nb', 'a\n'])
    expect(await outcomes(() => line, [deliveries(1)])).toMatchObject([
      { entry: '1-0', kind: 'dead', reason: 'invalid line', package: 1 },
    ])
})

test('what a handler throws, in whatever way, is retried and touches no other package', async () => {
  const handler: Handler = message => {
    if (message.package === 1) throw new TypeError('no')
    if (message.package === 2) return Promise.reject(new Error('later'))
    if (message.package === 3) throw 'a text'
    if (message.package === 4) throw undefined
    return undefined
  }
  const found = await outcomes(handler, [deliveries(1, 2, 3, 4, 5)])
  const failed = found
    .filter(outcome => outcome.kind === 'retry')
    .sort((x, y) => x.entry.localeCompare(y.entry))
  expect(failed.map(({ reason, detail }) => [reason, detail])).toEqual([
    ['handler failed', 'TypeError: no'],
    ['handler failed', 'Error: later'],
    ['handler failed', 'a text'],
    ['handler failed', 'undefined'],
  ])
  expect(kinds(found)).toContainEqual(['5-0', 'done'])
})

test('a failed attempt is carried along, and the last that is allowed is the end', async () => {
  const handler: Handler = () => {
    throw new Error('again')
  }
  const earlier = { attempt: 1, at: 5, consumer: 'b', reason: 'handler failed', detail: 'Error: before' }
  const [retry, dead] = await outcomes(
    handler,
    [[delivery(1, { id: '9-9', attempt: 2, failures: [earlier] }), delivery(2, { attempt: 3 })]],
    { maxAttempts: 3 },
  )
  expect(retry).toMatchObject({ kind: 'retry', past: { id: '9-9', attempt: 3, replays: 0 } })
  expect(retry?.past?.failures).toEqual([
    earlier,
    { attempt: 2, at: expect.any(Number), consumer: 'a', reason: 'handler failed', detail: 'Error: again' },
  ])
  expect(dead).toMatchObject({ kind: 'dead', reason: 'handler failed', past: { attempt: 3 } })
  expect((dead as { stack?: string }).stack).toContain('handle.test')
})

test('a handler says when it wants the package again, or never', async () => {
  // As another copy of the library would mark it.
  const foreign = Object.assign(new Error('x'), { [Symbol.for('conveyor.outcome')]: 'retry', ms: 7 })
  const handler: Handler = ({ package: n }) => {
    if (n === 1) throw new RetryLater(12_345)
    if (n === 2) throw new Reject('street 5 does not exist')
    if (n === 3) throw foreign
    if (n === 4) throw new RetryLater(-1)
  }
  const found = await outcomes(handler, [deliveries(1, 2, 3, 4)])
  expect(found).toMatchObject([
    { kind: 'retry', delay: 12_345 },
    { kind: 'dead', reason: 'rejected', detail: 'street 5 does not exist' },
    { kind: 'retry', delay: 7 },
    { kind: 'retry', detail: expect.stringContaining('RetryLater(-1): ms from 0') },
  ])
  const last = await outcomes(handler, [[delivery(1, { attempt: 5 })]])
  expect(last).toMatchObject([{ kind: 'dead', reason: 'handler failed' }])
})

test('the delay doubles up to its most, and is never less than half of that', async () => {
  const handler: Handler = () => {
    throw new Error('x')
  }
  for (const [attempt, most] of [
    [1, 100],
    [2, 200],
    [3, 400],
    [9, 1000],
  ] as const) {
    const batch = Array.from({ length: 200 }, (_, n) => delivery(n + 1, { attempt }))
    const found = await outcomes(handler, [batch], { maxAttempts: 10, retryDelay: 100, retryMaxDelay: 1000 })
    const delays = found.map(outcome => (outcome.kind === 'retry' ? outcome.delay : Number.NaN))
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(most / 2)
    expect(Math.max(...delays)).toBeLessThanOrEqual(most)
    expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(most / 5)
  }
})

test('an entry that came back for another group is skipped without a call', async () => {
  const handler = vi.fn()
  const found = await outcomes(handler, [[{ ...delivery(1), skip: true }, delivery(2)]])
  expect(kinds(found)).toEqual([
    ['1-0', 'skip'],
    ['2-0', 'done'],
  ])
  expect(handler).toHaveBeenCalledTimes(1)
})

test('a handler is told its attempt, and has a log and a span in any case', async () => {
  const lines: unknown[] = []
  const log = {
    debug: () => {},
    info: (...line: unknown[]) => void lines.push(line),
    warn: () => {},
    error: () => {},
  }
  const seen: unknown[] = []
  const handler: Handler = (_, context) => {
    context.log.info({ a: 1 }, 'hello')
    seen.push([context.attempt, context.span.isRecording()])
  }
  await outcomes(handler, [[delivery(1, { attempt: 3 })]], { log: () => log })
  expect([seen, lines]).toEqual([[[3, false]], [[{ a: 1 }, 'hello']]])
})

test('a thrown thing that cannot be made a text ends its package only', async () => {
  for (const thing of [Object.create(null), Symbol('x'), { toString: () => ({}) }]) {
    const handler: Handler = ({ package: n }) => {
      if (n === 1) throw thing
    }
    expect(kinds(await outcomes(handler, [deliveries(1, 2)]))).toEqual([
      ['1-0', 'retry'],
      ['2-0', 'done'],
    ])
  }
})

test('poison goes to the dead letters without a call', async () => {
  const handler = vi.fn()
  const poison = { entry: '1-0', received: 5, message: new Poison('no data', 'none') }
  expect(await outcomes(handler, [[poison, delivery(2)]])).toMatchObject([
    { entry: '1-0', kind: 'dead', reason: 'no data', detail: 'none' },
    { entry: '2-0', kind: 'done' },
  ])
  expect(handler).toHaveBeenCalledTimes(1)
})

test('no more than `concurrency` calls run at once, across batches, and all are made', async () => {
  let running = 0
  let most = 0
  const handler: Handler = async () => {
    most = Math.max(most, ++running)
    await new Promise(setImmediate)
    running--
  }
  const batches = upTo(10).map(n => deliveries(...upTo(20).map(i => n * 100 + i)))
  expect(await outcomes(handler, batches, { concurrency: 3 })).toHaveLength(200)
  expect(most).toBe(3)
})

test('a finished call is not held back by an unfinished one, of its own batch or of another', async () => {
  const { calls, handler } = byHand()
  const source = new Subject<Delivery[]>()
  const found: string[] = []
  source
    .pipe(handle(handler, options({ concurrency: 3 })))
    .subscribe(group => found.push(...group.map(o => o.entry)))
  source.next(deliveries(1, 2))
  source.next(deliveries(3, 4))
  await until(() => calls.size === 3, 'three calls')
  calls.get(2)?.end()
  await until(() => found.includes('2-0'), 'the second is emitted')
  await until(() => calls.size === 4, 'the fourth is called in its place')
  calls.get(4)?.end()
  await until(() => found.includes('4-0'), 'the fourth is emitted')
  expect(found).toEqual(['2-0', '4-0'])
})

test('a call that takes too long is given up, and its signal says so', async () => {
  const { calls, handler } = byHand()
  const found = await outcomes(handler, [deliveries(1)], { timeout: 20 })
  expect(found).toMatchObject([{ entry: '1-0', kind: 'retry', reason: 'handler timeout', package: 1 }])
  expect(calls.get(1)?.signal.aborted).toBe(true)
  expect(String(calls.get(1)?.signal.reason)).toContain('20 ms')
  calls.get(1)?.fail(new Error('too late to matter'))
})

test('a signal that is asked for after the timeout is aborted as well', async () => {
  let given: HandlerContext | undefined
  const handler: Handler = (_, call) => {
    given = call
    return new Promise(() => {})
  }
  await outcomes(handler, [deliveries(1)], { timeout: 20 })
  expect(given?.signal.aborted).toBe(true)
})

test('the signal of a call is one and the same', async () => {
  const signals: AbortSignal[] = []
  await outcomes((_, call) => void signals.push(call.signal, call.signal), [deliveries(1)])
  expect(signals[0]).toBe(signals[1])
})

test('a lost session aborts the signals of all calls', async () => {
  const lost = new AbortController()
  const { calls, handler } = byHand()
  const found = outcomes(handler, [deliveries(1, 2)], { signal: lost.signal })
  await until(() => calls.size === 2, 'two calls')
  lost.abort()
  for (const call of calls.values()) {
    expect(call.signal.aborted).toBe(true)
    call.end()
  }
  await found
})

test('a call in time leaves no timer behind', async () => {
  vi.useFakeTimers()
  try {
    await outcomes(async () => {}, [deliveries(1, 2, 3)], { timeout: 60_000 })
    await Promise.resolve()
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})

test('without a tracer the trace context of a message changes nothing', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const contexts: unknown[] = []
  const found = await outcomes(() => void contexts.push(context.active()), [[delivery(1, { traceparent })]])
  expect(kinds(found)).toEqual([['1-0', 'done']])
  expect(contexts).toEqual([ROOT_CONTEXT])
})

test('the handler runs in the trace of its message', async () => {
  const within = vi.spyOn(context, 'with')
  const origin = ROOT_CONTEXT.setValue(createContextKey('sent along'), 'by the producer')
  await outcomes(() => {}, [[delivery(1), { ...delivery(2), origin }]])
  expect(within.mock.calls.map(([found]) => found)).toEqual([origin])
  within.mockRestore()
})

test('completes when the source has and the last call has ended; errors at once', async () => {
  const { calls, handler } = byHand()
  let ended = ''
  const source = new Subject<Delivery[]>()
  source.pipe(handle(handler, options())).subscribe({ complete: () => (ended = 'completed') })
  source.next(deliveries(1))
  source.complete()
  await until(() => calls.size === 1, 'the call')
  expect(ended).toBe('')
  calls.get(1)?.end()
  await until(() => ended === 'completed', 'completion')
  new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(
    ({ cold, expectObservable }) => {
      expectObservable(cold<Delivery[]>('--#').pipe(handle(handler, options()))).toBe('--#')
      expectObservable(cold<Delivery[]>('--|').pipe(handle(handler, options()))).toBe('--|')
    },
  )
})
