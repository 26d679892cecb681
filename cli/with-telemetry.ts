import { flushTelemetry } from '@conveyor/service'
import { DiagLogLevel, diag } from '@opentelemetry/api'

/** Ms that sending the spans may take. */
const FLUSH = 2000

/**
 * Does a command's work, and has its spans sent if `OTEL_EXPORTER_OTLP_ENDPOINT` says where to. Resolves and rejects
 * as the work does, two seconds later at most; that spans could not be sent is a line on standard error. Once in a
 * process, because telemetry has ended then. The work must not end the process, and whoever called this should: what
 * still waits for an answer would keep it alive.
 *
 * No metrics are sent: each call of a command would be an instance with series of its own.
 */
export async function withTelemetry<T>(work: () => Promise<T>, env = process.env): Promise<T> {
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT
  if (!endpoint) return work()
  env.OTEL_SERVICE_NAME ||= 'conveyor-cli'
  env.OTEL_METRICS_EXPORTER ||= 'none'
  await import('@conveyor/telemetry')
  complainOnStderr()
  try {
    return await work()
  } finally {
    if (!(await flushTelemetry(FLUSH))) complain(`${endpoint} has not taken the spans of this command`)
  }
}

/** Standard output is the command's own. */
function complainOnStderr(): void {
  const ignore = () => {}
  const logger = { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore }
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
}

function complain(text: string): void {
  process.stderr.write(`telemetry: ${text}\n`)
}
