import { expect, test } from 'vitest'
import { telemetryConfig } from './config.ts'

test('a rate that cannot be used is named', () => {
  expect(() => telemetryConfig({ TRACES_PER_SECOND: 'many' })).toThrow(
    'TRACES_PER_SECOND="many": a whole number from 0 to 1000000 is allowed',
  )
})

test('fills in what the SDK would choose badly, and leaves what is set', () => {
  const env: NodeJS.ProcessEnv = { OTEL_BSP_MAX_QUEUE_SIZE: '10', OTEL_LOGS_EXPORTER: '' }
  expect(telemetryConfig(env)).toEqual({ TRACES_PER_SECOND: 100 })
  expect(env).toMatchObject({
    OTEL_BSP_MAX_QUEUE_SIZE: '10',
    OTEL_LOGS_EXPORTER: 'none',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  })
})
