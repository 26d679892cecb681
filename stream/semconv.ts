/**
 * All names that telemetry uses. Those of messaging follow OpenTelemetry's semantic conventions 1.44.0 (status:
 * development, so they are kept here instead of in many places):
 * https://opentelemetry.io/docs/specs/semconv/messaging/
 * The conventions know no Redis; `redis` as the messaging system is allowed, since that list is open.
 * What they have no name for is `conveyor.…`. docs/telemetry.md says what each stands for.
 */

export const SCOPE = '@conveyor/stream'

/** Attributes of spans and metrics. */
export const ATTRIBUTE = {
  system: 'messaging.system',
  destination: 'messaging.destination.name',
  operation: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  group: 'messaging.consumer.group.name',
  client: 'messaging.client.id',
  entry: 'messaging.message.id',
  batch: 'messaging.batch.message_count',
  errorType: 'error.type',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  /** Package number. */
  package: 'conveyor.package',
  epoch: 'conveyor.epoch',
  /** How many times the entry was delivered, when more than once. */
  deliveries: 'conveyor.deliveries',
  /** The consumer that an entry was taken over from. */
  claimedFrom: 'conveyor.claimed_from',
  /** Entries whose payload was gone when they were taken over. */
  lost: 'conveyor.lost',
  /** True: a peer had taken the entry over, the outcome was refused. In a batch: how many. */
  fenced: 'conveyor.fenced',
  /** `done`, `retry` or `dead`. */
  outcome: 'conveyor.outcome',
  /** Which attempt at the package it is, from the second on. */
  attempt: 'conveyor.attempt',
  /** How many times the package was replayed from the dead letters, if it was. */
  replays: 'conveyor.replays',
  /** Seconds until the package is due again. */
  retryDelay: 'conveyor.retry.delay',
  /** Times that a request was sent, when more than once. */
  attempts: 'conveyor.attempts',
  removed: 'conveyor.removed',
  length: 'conveyor.length',
  pinnedBy: 'conveyor.pinned_by',
  bytes: 'conveyor.bytes',
  /** Metrics only: a consumer's id. */
  consumer: 'consumer',
  /** Metrics only: `backlog`, `held`, `disk` or `next`. */
  reason: 'reason',
} as const

/** What spans are named after, before the stream's name. */
export type Operation =
  | 'send'
  | 'poll'
  | 'process'
  | 'commit'
  | 'settle'
  | 'claim'
  | 'replay'
  | 'create'
  | 'trim'

/** The conventions' kinds of operation; the others have none. */
export const OPERATION_TYPE: Partial<Record<Operation, string>> = {
  send: 'send',
  poll: 'receive',
  process: 'process',
  commit: 'settle',
  settle: 'settle',
}

/** Spans about the output file. */
export const OUTPUT_SPAN = { write: 'write output', flush: 'flush output' } as const

/** Instruments; `.` becomes `_` in Prometheus, where counters get `_total` and units are written out. */
export const METRIC = {
  produced: 'messages_produced',
  processed: 'messages_processed',
  trimmed: 'stream_cleanup',
  trims: 'stream_cleanup_operations',
  length: 'stream_length_current',
  processDuration: 'messaging.process.duration',
  requestDuration: 'messaging.client.operation.duration',
  endToEnd: 'conveyor.end_to_end.duration',
  flushDuration: 'conveyor.flush.duration',
  storeDuration: 'conveyor.store.duration',
  redeliveries: 'conveyor.redeliveries',
  claims: 'conveyor.claims',
  fenced: 'conveyor.fenced',
  dead: 'conveyor.dead',
  retries: 'conveyor.retries',
  returned: 'conveyor.returned',
  forwarded: 'conveyor.forwarded',
  output: 'conveyor.output',
  restarts: 'conveyor.restarts',
  held: 'conveyor.held',
  backpressure: 'conveyor.backpressure',
  idle: 'conveyor.idle.time',
  recentRate: 'messages_per_second',
  memory: 'consumer_memory_usage',
  givenOut: 'conveyor.packages.given_out',
  done: 'conveyor.packages.done',
  deadLetters: 'conveyor.dead_letters',
  letters: 'conveyor.dead_letters_by_reason',
  replays: 'conveyor.replays',
  purged: 'conveyor.purged',
  waiting: 'conveyor.retry.waiting',
  overdue: 'conveyor.retry.overdue',
  lag: 'conveyor.lag',
  pending: 'conveyor.pending',
  oldestPending: 'conveyor.oldest_pending.age',
  heartbeat: 'conveyor.heartbeat.age',
  unflushed: 'conveyor.unflushed',
  pinned: 'conveyor.stream.pinned',
} as const
