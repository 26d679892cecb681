import { createServer, type Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import { until } from '@conveyor/chaos'
import { expect, onTestFinished, test } from 'vitest'
import { OtlpSink } from '../bench/otlp-sink.ts'
import { startPipeline } from './start-pipeline.ts'

const start = new URL('../telemetry/dist/start.js', import.meta.url)

/** Loads the SDK into every service, with everything traced and sent often. */
function telemetry(endpoint: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    NODE_OPTIONS: `--import=${fileURLToPath(start)}`,
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_METRIC_EXPORT_INTERVAL: '500',
    OTEL_TRACES_SAMPLER: 'always_on',
    ...more,
  }
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

test('without a Collector all goes on, services end cleanly, and say once why nothing is sent', async () => {
  const closed = createServer()
  const endpoint = await listening(closed)
  closed.close()
  const pipeline = await startPipeline(telemetry(endpoint))
  pipeline.producer(0, { RATE: '2000' })
  const consumers = pipeline.consumers(['c1', 'c2'])
  await pipeline.committed(5000)
  await until(() => consumers[0]?.lines('telemetry').length, 'the complaint', 30_000)
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
  for (const one of consumers) {
    const complaints = one.lines('telemetry').map(({ reason }) => reason)
    expect(new Set(complaints).size).toBe(complaints.length)
  }
})

test('a Collector that never answers holds nothing up, not even the end', async () => {
  const endpoint = await listening(createServer(() => {}))
  const pipeline = await startPipeline(telemetry(endpoint, { DRAIN_TIMEOUT_MS: '60000' }))
  pipeline.producer(0, { RATE: '2000' })
  const [consumer] = pipeline.consumers(['c1'])
  await pipeline.committed(5000)
  await pipeline.drained(await pipeline.endProducing())
  const asked = performance.now()
  expect(await consumer?.stop()).toEqual({ code: 0, signal: null })
  expect(performance.now() - asked).toBeLessThan(15_000)
  await pipeline.expectExactlyOnce((await pipeline.inspect()).sequence)
})

test('a Collector that dies and comes back receives again, and the rest went on', async () => {
  const first = await OtlpSink.start()
  const pipeline = await startPipeline(telemetry(first.url))
  pipeline.producer(0, { RATE: '500' })
  pipeline.consumers(['c1', 'c2'])
  await until(() => first.requests > 10, 'exports arrive', 30_000)
  first.stop()
  const { done } = await pipeline.inspect()
  await pipeline.committed(done + 1000)
  const second = await OtlpSink.start(Number(new URL(first.url).port))
  onTestFinished(() => second.stop())
  await until(() => second.requests > 10, 'exports arrive again', 60_000)
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
})

test('a burst that no queue takes costs spans, which are counted, and nothing else', async () => {
  const endpoint = await listening(createServer(() => {}))
  const pipeline = await startPipeline(telemetry(endpoint, { OTEL_BSP_MAX_QUEUE_SIZE: '100' }))
  pipeline.producer(20_000)
  pipeline.consumers(['c1', 'c2', 'c3'])
  await pipeline.expectExactlyOnce(20_000)
})

test.each(['consumer', 'producer'])('a rate that cannot be used ends the %s with one line', async service => {
  const pipeline = await startPipeline(telemetry('http://127.0.0.1:1', { TRACES_PER_SECOND: '-1' }))
  const one = service === 'consumer' ? pipeline.consumer('c1') : pipeline.producer(1)
  expect(await one.ended()).toEqual({ code: 2, signal: null })
  expect(one.lastWords()).toContain('TRACES_PER_SECOND="-1": a whole number from 0 to 1000000 is allowed')
})

test('switched off, nothing is loaded', async () => {
  const sink = await OtlpSink.start()
  onTestFinished(() => sink.stop())
  const pipeline = await startPipeline(telemetry(sink.url, { OTEL_SDK_DISABLED: 'true' }))
  pipeline.producer(500)
  pipeline.consumer('c1')
  await pipeline.expectExactlyOnce(500)
  expect(sink.requests).toBe(0)
})
