import { isSpanContextValid, trace } from '@opentelemetry/api'
import { type DestinationStream, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'

export type { Logger } from 'pino'

/**
 * A structured log on standard output: JSON lines, or text for people when that is a terminal. What is
 * logged within a span carries its `trace_id` and `span_id`.
 */
export function createLog(service: string, level: string, fields: Record<string, unknown> = {}): Logger {
  const destination: DestinationStream = process.stdout.isTTY
    ? pretty({ colorize: true, ignore: 'pid,hostname,service', translateTime: 'SYS:HH:MM:ss.l', sync: true })
    : pino.destination({ dest: 1, sync: true })
  return pino({ level, base: { service, ...fields }, errorKey: 'error', mixin: spanIds }, destination)
}

function spanIds(): object {
  const span = trace.getActiveSpan()?.spanContext()
  return span && isSpanContextValid(span) ? { trace_id: span.traceId, span_id: span.spanId } : {}
}
