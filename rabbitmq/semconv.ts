import { type Attributes, metrics } from '@opentelemetry/api'

/** Names of metrics; `.` becomes `_` in Prometheus, where counters get `_total`. docs/telemetry.md tells of them. */
export const METRIC = {
  taken: 'conveyor.rabbitmq.taken',
  rejected: 'conveyor.rabbitmq.rejected',
  redelivered: 'conveyor.rabbitmq.redelivered',
  published: 'conveyor.rabbitmq.published',
  unconfirmed: 'conveyor.rabbitmq.unconfirmed',
} as const

export const ATTRIBUTE = {
  /** The queue that messages are taken from, or the exchange that they go to. */
  destination: 'messaging.destination.name',
  /** Why a message was rejected: one of a few words. */
  reason: 'reason',
  /** Whether a message that came again has a messageId; one that has none may be appended twice. */
  named: 'conveyor.rabbitmq.named',
} as const

/** Adds to a counter, by default 1 and under no further attributes. */
export type Count = (value?: number, attributes?: Attributes) => void

/**
 * A counter of one queue or exchange. Counters are made when they are needed: those made before the SDK is there never
 * record.
 */
export function counter(name: string, destination: string, description: string): Count {
  const created = metrics
    .getMeter('@conveyor/rabbitmq')
    .createCounter(name, { unit: '{message}', description })
  const mine = { [ATTRIBUTE.destination]: destination }
  created.add(0, mine) // a first one is an increase only from a zero
  return (value = 1, attributes = {}) => created.add(value, { ...mine, ...attributes })
}
