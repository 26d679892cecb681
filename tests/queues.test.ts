import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { METRIC } from '../stream/semconv.ts'
import { receiveMetrics } from './otlp-metrics.ts'
import { startPipeline } from './start-pipeline.ts'

const PACKAGES = 300
const start = fileURLToPath(new URL('../telemetry/dist/start.js', import.meta.url))

/** Rejects every tenth; sends on the others. */
const FIRST = `import { Reject } from '${new URL('../stream/dist/index.js', import.meta.url)}'
export default ({ package: n }) => {
  if (n % 10 === 0) throw new Reject('every tenth')
  return { n }
}`

/** Rejects the first, and never answers for the second. */
const SECOND = `import { Reject } from '${new URL('../stream/dist/index.js', import.meta.url)}'
export default ({ package: n }) => {
  if (n === 1) throw new Reject('the first')
  if (n === 2) return new Promise(() => {})
}`

const DESTINATION = 'messaging.destination.name'
const GROUP = 'messaging.consumer.group.name'
const A = { [DESTINATION]: 'queue_a' }
const B = { [DESTINATION]: 'queue_b' }

/** What is about a stream, whichever groups it has. */
const OF_STREAM = new Set<string>([
  METRIC.produced,
  METRIC.trimmed,
  METRIC.trims,
  METRIC.length,
  METRIC.givenOut,
  METRIC.done,
  METRIC.deadLetters,
])

test('two stages as they are reported: each queue by itself, and a consumer that waits beside one that works', async () => {
  const receiver = await receiveMetrics()
  const pipeline = await startPipeline({
    NODE_OPTIONS: `--import=${start}`,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_METRIC_EXPORT_INTERVAL: '200',
    TRIM_ABOVE: '10000000',
  })
  const handlers = [FIRST, SECOND].map((_, n) => join(pipeline.dir, `handler${n}.mjs`))
  await Promise.all([FIRST, SECOND].map((text, n) => writeFile(handlers[n] as string, text)))
  pipeline.producer(PACKAGES, { STREAM: 'queue_a', GROUPS: 'processors' })
  pipeline.producer(0, { RATE: '0', STREAM: 'queue_b', GROUPS: 'writers' })
  pipeline.consumer('c', {
    STREAM: 'queue_a',
    GROUP: 'processors',
    HANDLER: handlers[0],
    OUTPUT: 'none',
    FORWARD_TO: 'queue_b',
    FORWARD_GROUPS: 'writers',
  })
  const writer = pipeline.consumer('c', {
    STREAM: 'queue_b',
    GROUP: 'writers',
    HANDLER: handlers[1],
    HANDLER_TIMEOUT_MS: '0',
  })

  const sent = PACKAGES - PACKAGES / 10
  const value = (name: string, attributes: Record<string, string>) => {
    const found = receiver.of(name, attributes)
    return found.length > 0 ? found.reduce((sum, one) => sum + one.value, 0) : undefined
  }
  const seen = () =>
    [A, B].map(of => ({
      length: value(METRIC.length, of),
      produced: value(METRIC.produced, of),
      given: value(METRIC.givenOut, of),
      processed: value(METRIC.processed, { ...of, consumer: 'c' }),
      timed: value(METRIC.endToEnd, of),
      rejected: value(METRIC.dead, { ...of, 'error.type': 'rejected' }),
      failed: value(METRIC.dead, { ...of, 'error.type': 'handler failed' }),
      letters: value(METRIC.letters, { ...of, 'error.type': 'rejected' }),
      held: value(METRIC.held, of),
    }))
  const expected = [
    {
      length: PACKAGES,
      produced: PACKAGES,
      given: PACKAGES,
      processed: sent,
      timed: sent,
      rejected: PACKAGES / 10,
      failed: 0,
      letters: PACKAGES / 10,
      held: 0,
    },
    {
      length: sent,
      produced: 0,
      given: sent,
      processed: sent - 2,
      timed: sent - 2,
      rejected: 1,
      failed: 0,
      letters: 1,
      held: 1,
    },
  ]
  await until(
    () => JSON.stringify(seen()) === JSON.stringify(expected),
    'each queue is as it should be',
    60_000,
    () => JSON.stringify(seen()),
  )

  // One has nothing to do from now on, the other one has a package in its hands.
  const idle = (of: Record<string, string>) => value(METRIC.idle, { ...of, consumer: 'c' }) ?? Number.NaN
  const [before, busy] = [idle(A), idle(B)]
  await until(() => idle(A) > before + 1, 'the first stage is idle', 60_000)
  expect(idle(B)).toBe(busy)
  expect(busy).toBeGreaterThanOrEqual(0)
  await until(() => value(METRIC.recentRate, A) === 0, 'nothing is done any more', 60_000)
  for (const of of [A, B]) expect(value(METRIC.memory, { ...of, consumer: 'c' })).toBeGreaterThan(10_000_000)

  for (const name of Object.values(METRIC)) {
    for (const { attributes } of receiver.of(name)) {
      expect(['queue_a', 'queue_b'], name).toContain(attributes[DESTINATION])
      const group = attributes[DESTINATION] === 'queue_a' ? 'processors' : 'writers'
      if (OF_STREAM.has(name)) expect(attributes, name).not.toHaveProperty(GROUP)
      else expect([undefined, group], name).toContain(attributes[GROUP])
    }
  }
  // With a unit that is written out, people's tools would not find it by its name.
  const units = (name: string) => new Set(receiver.of(name).map(({ unit }) => unit))
  expect(['messages_per_second', 'consumer_memory_usage', 'conveyor.idle.time'].map(units)).toEqual([
    new Set(['{message}']),
    new Set(['By']),
    new Set(['s']),
  ])
  await writer.kill()
  await pipeline.stop()
})
