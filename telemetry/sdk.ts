import { ConfigError, createLog, EXIT } from '@conveyor/service'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node'
import { defaultResource } from '@opentelemetry/resources'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { type TelemetryConfig, telemetryConfig } from './config.ts'
import { diagnostics } from './diagnostics.ts'
import { exporters } from './exporters.ts'
import { serviceResource } from './resource.ts'
import { KeepingSampler, RateLimitedSampler } from './sampler.ts'

/**
 * Starts the SDK for this process. Whoever ends the process has the providers shut down before, which sends
 * what is left. A setting that cannot be used ends it with exit code 2.
 */
export function startSdk(): void {
  const { TRACES_PER_SECOND, OTEL_METRIC_EXPORT_INTERVAL, LOG_LEVEL } = settings()
  // The SDK sets its own logger when OTEL_LOG_LEVEL is set, which then stays.
  if (!process.env.OTEL_LOG_LEVEL) {
    const log = createLog('conveyor-telemetry', LOG_LEVEL)
    diag.setLogger(diagnostics(log), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
  }
  new NodeSDK({
    resource: defaultResource().merge(serviceResource(process.argv[1])),
    ...exporters(OTEL_METRIC_EXPORT_INTERVAL),
    ...(!process.env.OTEL_TRACES_SAMPLER && {
      sampler: new KeepingSampler(new RateLimitedSampler(TRACES_PER_SECOND)),
    }),
    instrumentations: [new RuntimeNodeInstrumentation()],
  }).start()
}

function settings(): TelemetryConfig {
  try {
    return telemetryConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(EXIT.usage)
  }
}
