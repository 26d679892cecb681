import { common, integer, readConfig } from '@conveyor/service'
import { z } from 'zod'

/** What the SDK takes from the environment where nothing is set. */
const DEFAULTS = {
  OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  OTEL_LOGS_EXPORTER: 'none', // logs go to standard output
  // The SDK's own defaults, 2048 and 512 every 5 s, drop most of a burst.
  OTEL_BSP_MAX_QUEUE_SIZE: '32768',
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '2048',
  OTEL_BSP_SCHEDULE_DELAY: '1000',
  OTEL_NODE_EXPERIMENTAL_SDK_METRICS: 'true', // counts spans that were dropped or could not be exported
} as const

export const telemetrySettings = z.object({
  /** Traces that a process begins in a second, at most. */
  TRACES_PER_SECOND: integer(50, 0, 1_000_000),
  /** Ms between two exports of metrics. */
  OTEL_METRIC_EXPORT_INTERVAL: integer(60_000, 1, 2 ** 31 - 1),
  LOG_LEVEL: common.LOG_LEVEL,
})

export type TelemetryConfig = z.output<typeof telemetrySettings>

/** Reads the settings, and sets defaults for the SDK's own. Throws `ConfigError`. */
export function telemetryConfig(env = process.env): TelemetryConfig {
  const config = readConfig(telemetrySettings, env)
  for (const [name, value] of Object.entries(DEFAULTS)) env[name] ||= value
  return config
}
