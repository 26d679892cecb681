import { deepStrictEqual } from 'node:assert'
import { fileURLToPath } from 'node:url'
import { failAt, type Pipeline, PostgresServer, ServiceProcess, type Step } from '@conveyor/chaos'
import { keysOf, Lane } from '@conveyor/stream'
import { QUICK_DEATH } from '../start-pipeline.ts'
import { TELEMETRY, type Watched } from './start-stack.ts'

/**
 * Everything is traced, and a silent consumer is soon dead but does not notice it by itself. What becomes of a package
 * is what its payload says.
 */
export const SETTINGS = {
  ...QUICK_DEATH,
  COMMAND_TIMEOUT_MS: '120000',
  TRACES_PER_SECOND: '1000000',
  TRIM_INTERVAL_MS: '500',
  HANDLER: 'demo',
  RETRY_DELAY_MS: '100',
}

/** A fault in a process that also loads the SDK. */
function failing(step: Step, nth: number, action: 'SIGSTOP' | 'SIGKILL'): NodeJS.ProcessEnv {
  const fault = failAt(step, nth, action)
  return { ...fault, NODE_OPTIONS: `${TELEMETRY} ${fault.NODE_OPTIONS}` }
}

/**
 * A run in which everything happens that there are metrics and spans for: c1 is stopped between handling packages
 * and committing them, c2 takes them over, c1 goes on and is refused; c3 dies before it has written what it has
 * committed; an entry is no package; packages fail, and of those that are given up one is replayed and one is purged;
 * a producer has more spans than fit in its queue. On a stream of its own a consumer stores rows, one of which PostgreSQL
 * refuses. Producers and consumers go on when it returns, besides c1. Returns the database, which is to be stopped.
 */
export async function runWithFaults({ pipeline, stack }: Watched): Promise<PostgresServer> {
  const { client, keys } = pipeline
  // Who comes first begins the stream's life: once it is a producer, and in the new life a consumer.
  const first = pipeline.producer(1)
  await pipeline.when(({ sequence }) => sequence === 1, 'the first package is given out')
  await pipeline.stop([first])
  await client.flushall()

  // The one that lives: what is told of the beginning must not be lost with a process that is killed.
  await pipeline.consumer('c2').logged('session opened')
  const stopped = pipeline.consumer('c1', failing('before commit', 5, 'SIGSTOP'))
  const killed = pipeline.consumer('c3', failing('before write file', 5, 'SIGKILL'))
  for (const consumer of [stopped, killed]) await consumer.logged('session opened')
  pipeline.producer(0, { RATE: '200' })

  await stopped.stopped()
  await pipeline.when(({ claimed }) => claimed > 0, 'what c1 had is taken over')
  stopped.send('SIGCONT')
  await stopped.logged('outcomes refused')
  await killed.ended()
  await client.xadd(keys.stream, '*', 'greeting', 'hello')
  await appendFailing(pipeline)
  await pipeline.when(({ letters }) => letters['handler failed'] === 1, 'one has failed too often')
  await pipeline.when(({ letters }) => letters.rejected === 1, 'one is rejected')
  await pipeline.when(({ waiting }) => waiting === 0, 'none waits for another attempt')
  await stack.prometheus.when(
    'sum(conveyor_dead_letters_by_reason{error_type=~"handler failed|rejected"}) == 2',
  )
  await settleLetters(pipeline, stack.env)
  await pipeline.when(({ dead, deadLetters }) => dead === 3 && deadLetters === 1, 'two letters are settled')

  const database = await storeRows(pipeline)
  await stack.prometheus.when('sum(postgres_insert_errors_total) > 0')

  const talkative = pipeline.producer(0, {
    RATE: '200',
    OTEL_BSP_MAX_QUEUE_SIZE: '8',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '4',
  })
  await stack.prometheus.when('otel_sdk_processor_span_processed_total{error_type="queue_full"} > 0')
  await pipeline.stop([talkative])
  await stack.prometheus.when('sum(stream_cleanup_total) > 0')
  // The Collector makes metrics of spans every few seconds only.
  await stack.prometheus.when(
    'rate(traces_span_metrics_calls_total{span_name="process number_stream"}[30s]) > 0',
  )
  return database
}

/** A stream whose packages are stored as rows; of one the database takes no row. */
async function storeRows(pipeline: Pipeline): Promise<PostgresServer> {
  const database = await PostgresServer.start()
  const rows = { STREAM: 'rows', HANDLER: '' }
  pipeline.producer(0, { ...rows, RATE: '20' })
  const consumer = pipeline.consumer('r1', { ...rows, OUTPUT: 'postgres', DATABASE_URL: database.url })
  await consumer.logged('session opened')
  const keys = keysOf('rows', pipeline.keys.group)
  const lane = new Lane({ url: pipeline.redis.url, keys, groups: [keys.group] })
  const before = '{"timestamp_producer":1753553379,"payload":{"text":"a\\u0000b","package":'
  await lane.append([{ count: 1, before, after: '}}' }])
  lane.close()
  await consumer.logged('dead letter')
  return database
}

/** Packages for the demonstration's handler: one fails twice, one always, and one is rejected. */
async function appendFailing({ redis, keys }: Pipeline): Promise<void> {
  const lane = new Lane({ url: redis.url, keys, groups: [keys.group] })
  const before = (type: string) => `{"timestamp_producer":1753553379,"payload":{"type":"${type}","package":`
  const templates = ['retry', 'fail', 'unknown'].map(type => ({
    count: 1,
    before: before(type),
    after: '}}',
  }))
  await lane.append(templates)
  lane.close()
}

async function settleLetters({ redis, keys, dir }: Pipeline, env: NodeJS.ProcessEnv): Promise<void> {
  const script = fileURLToPath(new URL('settle-letters.mjs', import.meta.url))
  const options = { env: { ...process.env, ...env }, cwd: dir }
  const operator = new ServiceProcess('operator', script, [redis.url, keys.stream, keys.group], options)
  const exit = await operator.ended()
  deepStrictEqual(exit, { code: 0, signal: null }, operator.lastWords())
  deepStrictEqual(operator.output, '', 'it says nothing')
}
