import { createLog, type Logger } from '@conveyor/service'
import { type DeadLetter, deadLetters, inspect, Lane, packages, Reject, RetryLater } from '@conveyor/stream'
import { AlwaysOnSampler } from '@opentelemetry/sdk-trace'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { bench, until, useRedis } from '../tests/redis.ts'
import { useTelemetry } from '../tests/telemetry.ts'
import { consumerConfig } from './config.ts'
import { Consumer } from './consumer.ts'
import type { LoadedHandler } from './handler.ts'

const on = useRedis()
const telemetry = useTelemetry(new AlwaysOnSampler())

/** Short enough to wait for. */
const QUICK = { RETRY_DELAY_MS: '10', RETRY_MAX_DELAY_MS: '100' }

/** A consumer at work on packages 1 to `count` of a stream of its own; stopped when the test ends. */
async function start(
  loaded: LoadedHandler,
  { env = {}, count = 1, log = createLog('test', 'silent') as Logger } = {},
) {
  const b = await bench(on)
  const { url, keys, groups, directory } = b
  const settings = { REDIS_URL: url, STREAM: keys.stream, GROUP: keys.group, OUTPUT_DIR: directory }
  const config = consumerConfig({ CONSUMER_ID: 'c1', ...settings, ...QUICK, ...env })
  const consumer = new Consumer(config, loaded, log)
  consumer.events.subscribe(event => b.seen.push(event))
  const stop = new AbortController()
  const ended = consumer.run(stop.signal)
  onTestFinished(async () => {
    stop.abort()
    await ended
  })
  const lane = new Lane({ url, keys, groups })
  await lane.append([packages(count)])
  lane.close()
  return b
}

/** The same, until all packages are settled. Returns the dead letters too. */
async function run(loaded: LoadedHandler, options: Parameters<typeof start>[1] = {}) {
  const b = await start(loaded, options)
  await until(async () => {
    const { sequence, drained } = await inspect(b.redis, b.keys)
    return drained && sequence === (options.count ?? 1)
  }, 'all is settled')
  const letters: DeadLetter[] = []
  for await (const letter of deadLetters(b.redis, b.keys)) letters.push(letter)
  return { b, letters }
}

const fails = () => {
  throw new TypeError('no such thing')
}

test.each([
  ['by default', {}, {}, 5],
  ['as the module says', { maxAttempts: 2 }, {}, 2],
  ['as the variable says, whatever the module says', { maxAttempts: 2 }, { MAX_ATTEMPTS: '3' }, 3],
  ['never again', {}, { MAX_ATTEMPTS: '1' }, 1],
])('a package that fails is attempted %s', async (_, exported, env, attempts) => {
  const seen: number[] = []
  const failures: number[] = []
  const handler: LoadedHandler['handler'] = (message, context) => {
    seen.push(context.attempt)
    failures.push(message.failures.length)
    return fails()
  }
  const { b, letters } = await run({ handler, ...exported }, { env })
  expect(seen).toEqual(Array.from({ length: attempts }, (_, i) => i + 1))
  expect(failures, 'of which the message tells').toEqual(seen.map(attempt => attempt - 1))
  expect(letters).toMatchObject([
    { package: 1, reason: 'handler failed', detail: 'TypeError: no such thing', attempts, consumer: 'c1' },
  ])
  expect(letters[0]?.failures.map(({ attempt }) => attempt)).toEqual(seen)
  expect(letters[0]?.stack).toContain('consumer.test.ts')
  expect(await b.file('c1')).toBe('')
})

test.each([
  ['as the module says', { concurrency: 2 }, {}, 2],
  ['as the variable says, whatever the module says', { concurrency: 2 }, { HANDLER_CONCURRENCY: '4' }, 4],
])('calls run at the same time %s', async (_, exported, env, expected) => {
  let running = 0
  let most = 0
  const handler = async () => {
    most = Math.max(most, ++running)
    await new Promise(resolve => setTimeout(resolve, 5))
    running--
  }
  await run({ handler, ...exported }, { env, count: 20 })
  expect(most).toBe(expected)
})

test.each([
  ['as the module says', { timeout: 30 }, {}, 30],
  ['as the variable says, whatever the module says', { timeout: 5000 }, { HANDLER_TIMEOUT_MS: '40' }, 40],
])('a call that takes too long is given up %s', async (_, exported, env, timeout) => {
  const signals: AbortSignal[] = []
  const handler: LoadedHandler['handler'] = (_message, { signal }) => {
    signals.push(signal)
    return new Promise(() => {})
  }
  const { letters } = await run({ handler, ...exported }, { env: { MAX_ATTEMPTS: '2', ...env } })
  expect(letters).toMatchObject([{ reason: 'handler timeout', attempts: 2 }])
  expect(letters[0]?.detail).toContain(`within ${timeout} ms`)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
})

test('a package that timed out and then succeeds has one line', async () => {
  const handler: LoadedHandler['handler'] = (message, { attempt }) =>
    attempt === 1 ? new Promise(() => {}) : Promise.resolve(`line ${message.package} of attempt ${attempt}`)
  const { b, letters } = await run({ handler, timeout: 20 }, { count: 3 })
  expect(letters).toEqual([])
  expect((await b.file('c1')).trim().split('\n').sort()).toEqual([1, 2, 3].map(n => `line ${n} of attempt 2`))
  expect(b.of('retried').map(({ reason }) => reason)).toEqual(Array(3).fill('handler timeout'))
})

test('delays double up to the longest, each by chance between half of it and all', async () => {
  const env = { MAX_ATTEMPTS: '6', RETRY_DELAY_MS: '20', RETRY_MAX_DELAY_MS: '100' }
  const { b } = await run({ handler: fails }, { env, count: 20 })
  for (const [index, most] of [20, 40, 80, 100, 100].entries()) {
    const delays = b.of('retried').filter(({ attempt }) => attempt === index + 2)
    expect(delays).toHaveLength(20)
    for (const { delay } of delays) {
      expect(delay).toBeGreaterThanOrEqual(most / 2)
      expect(delay).toBeLessThanOrEqual(most)
    }
    expect(new Set(delays.map(({ delay }) => delay)).size).toBeGreaterThan(1)
  }
})

test('RetryLater says when, beyond the longest delay too, and counts as an attempt', async () => {
  const starts: number[] = []
  const handler = () => {
    starts.push(performance.now())
    throw new RetryLater(starts.length === 1 ? 0 : 300, 'not open yet')
  }
  const { b, letters } = await run({ handler }, { env: { MAX_ATTEMPTS: '3' } })
  expect(b.of('retried').map(({ delay }) => delay)).toEqual([0, 300])
  const [first = 0, second = 0, third = 0] = starts
  expect(second - first).toBeLessThan(300)
  expect(third - second).toBeGreaterThanOrEqual(299)
  expect(letters).toMatchObject([
    { reason: 'handler failed', detail: 'RetryLater: not open yet', attempts: 3 },
  ])
})

test('Reject is the end at once', async () => {
  const handler = ({ package: n }: { package: number }) => {
    if (n === 2) throw new Reject('no such customer')
  }
  const { b, letters } = await run({ handler }, { count: 3 })
  expect(letters).toMatchObject([{ package: 2, reason: 'rejected', detail: 'no such customer', attempts: 1 }])
  expect(b.of('retried')).toEqual([])
  expect((await b.file('c1')).match(/package \d/g)).toEqual(['package 1', 'package 3'])
})

test('what a handler logs names the package and the attempt', async () => {
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info', base: null }, { write: text => void lines.push(JSON.parse(text)) })
  const handler: LoadedHandler['handler'] = (_message, { log, attempt }) => {
    log.info({ customer: 'x' }, 'asked')
    log.debug('not at this level')
    if (attempt === 1) throw new Error('busy')
    log.warn('nearly')
  }
  await run({ handler }, { log })
  const own = lines.filter(({ msg }) => msg === 'asked' || msg === 'nearly' || msg === 'not at this level')
  expect(own).toMatchObject([
    { msg: 'asked', level: 30, package: 1, attempt: 1, customer: 'x' },
    { msg: 'asked', level: 30, package: 1, attempt: 2 },
    { msg: 'nearly', level: 40, package: 1, attempt: 2 },
  ])
})

test('a handler can write to the span of its attempt', async () => {
  const handler: LoadedHandler['handler'] = async (_message, { span, attempt, consumer }) => {
    await Promise.resolve()
    span.setAttribute('example.seen', `${consumer} ${attempt}`)
    if (attempt === 1) throw new Error('busy')
  }
  await run({ handler })
  const spans = await telemetry.ended('process', 2)
  expect(spans.map(({ attributes }) => attributes['example.seen'])).toEqual(['c1 1', 'c1 2'])
  expect(new Set(spans.map(span => span.spanContext().traceId)).size, 'one trace').toBe(1)
})
