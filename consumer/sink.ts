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
  if (config.OUTPUT !== 'postgres') return undefined
  const { openPostgresSink } = await import('@conveyor/postgres') // each output loads only what it needs
  return openPostgresSink({
    url: config.DATABASE_URL as string,
    schema: config.DATABASE_SCHEMA,
    consumer: config.CONSUMER_ID,
    deadline: config.COMMAND_TIMEOUT_MS,
    stop,
    note: (fields, text) => log.warn(fields, text),
  })
}
