import { type Counter, metrics } from '@opentelemetry/api'

/** Names of metrics; `.` becomes `_` in Prometheus, where counters get `_total`. docs/telemetry.md tells of them. */
export const METRIC = {
  taken: 'conveyor.rabbitmq.taken',
  rejected: 'conveyor.rabbitmq.rejected',
  redelivered: 'conveyor.rabbitmq.redelivered',
  published: 'conveyor.rabbitmq.published',
  unconfirmed: 'conveyor.rabbitmq.unconfirmed',
} as const

export const ATTRIBUTE = {
  /** Why a message was rejected: one of a few words. */
  reason: 'reason',
  /** Whether a message that came again has a messageId; one that has none may be appended twice. */
  named: 'conveyor.rabbitmq.named',
} as const

/** Counters are made when they are needed: those made before the SDK is there never record. */
export function counter(name: string, description: string): Counter {
  const created = metrics
    .getMeter('@conveyor/rabbitmq')
    .createCounter(name, { unit: '{message}', description })
  created.add(0) // a first one is an increase only from a zero
  return created
}
