import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { context, diag, metrics, propagation, trace } from '@opentelemetry/api'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'

const written: string[] = []

beforeEach(() => {
  vi.resetModules() // each test is a process of its own, as far as telemetry is concerned
  vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/json')
  written.length = 0
  vi.spyOn(process.stderr, 'write').mockImplementation(line => {
    written.push(String(line))
    return true
  })
})

afterEach(() => {
  for (const api of [context, trace, metrics, propagation, diag]) api.disable()
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

async function listening(server: Server): Promise<void> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${port}`)
}

/** Bodies of the requests that a Collector gets, by their path. */
async function collector(): Promise<[path: string, body: string][]> {
  const requests: [string, string][] = []
  const server = createServer(async (request, response) => {
    requests.push([request.url ?? '', await text(request)])
    response.setHeader('content-type', 'application/json').end('{}')
  })
  await listening(server)
  return requests
}

async function run(outcome: () => unknown): Promise<unknown> {
  const { withTelemetry } = await import('./with-telemetry.ts')
  return withTelemetry(async () => {
    trace.getTracer('test').startSpan('replay number_stream').end()
    return outcome()
  })
}

test('without an endpoint nothing is loaded', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', '')
  expect(await run(() => trace.getTracer('test').startSpan('none').isRecording())).toBe(false)
  expect(written).toEqual([])
})

test('what was done is sent before it resolves: spans of conveyor-cli, and no metrics', async () => {
  const requests = await collector()
  expect(await run(() => 7)).toBe(7)
  expect(requests.map(([path]) => path)).toEqual(['/v1/traces'])
  expect(requests[0]?.[1]).toContain('replay number_stream')
  expect(requests[0]?.[1]).toContain('conveyor-cli')
  expect(written).toEqual([])
})

test('what failed is sent too, and it rejects as the work does', async () => {
  const requests = await collector()
  const failing = run(() => {
    throw new Error('no such letter')
  })
  await expect(failing).rejects.toThrow('no such letter')
  expect(requests).toHaveLength(1)
})

const COMPLAINT = /^telemetry: http:\S+ has not taken the spans of this command\n$/

test('without a Collector, it is a line on standard error', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:1')
  vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc')
  expect(await run(() => 7)).toBe(7)
  expect(written).toEqual([expect.stringMatching(COMPLAINT)])
})

test('a Collector that does not answer costs two seconds and a line on standard error', async () => {
  await listening(createServer(() => {}))
  const started = performance.now()
  expect(await run(() => 7)).toBe(7)
  expect(performance.now() - started).toBeLessThan(5000)
  expect(written).toEqual([expect.stringMatching(COMPLAINT)])
})
