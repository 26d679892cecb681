import type { Logger } from '@conveyor/service'
import type { Sink } from '@conveyor/stream'
import type { ConsumerConfig } from './config.ts'

/** A sink that is ready, and what lets go of it. */
export interface OpenSink {
  readonly sink: Sink
  close(): Promise<void>
}

/**
 * Opens the sink that `OUTPUT` names, when it is one outside of this host; waits until it can be reached, or `stop` is
 * aborted. Throws `ConfigError` for what waiting does not mend.
 */
export async function openSink(
  config: ConsumerConfig,
  log: Logger,
  stop: AbortSignal,
): Promise<OpenSink | undefined> {
  const { OUTPUT, CONSUMER_ID: consumer, COMMAND_TIMEOUT_MS: deadline } = config
  const note = (fields: object, text: string) => log.warn(fields, text)
  // Each output loads only what it needs.
  if (OUTPUT === 'postgres') {
    const { openPostgresSink } = await import('@conveyor/postgres')
    const { DATABASE_URL: url = '', DATABASE_SCHEMA: schema } = config
    return openPostgresSink({ url, schema, consumer, deadline, stop, note })
  }
  if (OUTPUT === 'rabbitmq') {
    const { openRabbitmqSink } = await import('@conveyor/rabbitmq')
    const { AMQP_URL = '' } = config
    return openRabbitmqSink({ config: { ...config, AMQP_URL }, consumer, deadline, stop, note })
  }
  return undefined
}
