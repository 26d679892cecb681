import { expect, test } from 'vitest'
import { telemetryConfig } from './config.ts'

test.each([
  [{ TRACES_PER_SECOND: 'many' }, 'TRACES_PER_SECOND="many": a whole number from 0 to 1000000 is allowed'],
  [
    { OTEL_METRIC_EXPORT_INTERVAL: '-1' },
    'OTEL_METRIC_EXPORT_INTERVAL="-1": a whole number from 1 to 2147483647 is allowed',
  ],
  [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL="loud": trace, debug, info, warn, error, fatal or silent is allowed'],
])('a setting that cannot be used is named: %o', (env, message) => {
  expect(() => telemetryConfig(env)).toThrow(message)
})

test('fills in what the SDK would choose badly, and leaves what is set', () => {
  const env: NodeJS.ProcessEnv = { OTEL_BSP_MAX_QUEUE_SIZE: '10', OTEL_LOGS_EXPORTER: '' }
  expect(telemetryConfig(env)).toMatchObject({ TRACES_PER_SECOND: 50 })
  expect(env).toMatchObject({
    OTEL_BSP_MAX_QUEUE_SIZE: '10',
    OTEL_LOGS_EXPORTER: 'none',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  })
})
