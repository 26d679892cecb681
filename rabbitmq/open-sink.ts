import { ConfigError } from '@conveyor/service'
import { whenReady } from '@conveyor/stream'
import { BrokerRefused } from './broker.ts'
import { RabbitmqSink, type RabbitmqSinkOptions } from './sink.ts'
import type { ExchangeOptions, QueueOptions } from './topology.ts'

/** Settings as `amqpSettings` reads them. */
export interface AmqpConfig {
  readonly AMQP_URL: string
  readonly AMQP_QUEUE?: string | undefined
  readonly AMQP_QUEUE_TYPE: QueueOptions['type']
  readonly AMQP_DELIVERY_LIMIT: number
  readonly AMQP_DECLARE: 'yes' | 'no'
  readonly AMQP_EXCHANGE: string
  readonly AMQP_EXCHANGE_TYPE: ExchangeOptions['type']
  readonly AMQP_ROUTING_KEY: string
}

export interface OpenSinkOptions {
  readonly config: AmqpConfig
  /** Who sends. */
  readonly consumer: string
  /** Ms for connecting, and for a batch to be confirmed. */
  readonly deadline: number
  /** Aborted to give up waiting for the broker. */
  readonly stop: AbortSignal
  /** Told what people should know. */
  readonly note: (fields: object, text: string) => void
}

/**
 * Opens a sink whose exchange is there: waits for the broker, and declares. Resolves without the sink's being ready when
 * `stop` is aborted. Throws `ConfigError` for what waiting does not mend.
 */
export async function openRabbitmqSink(
  options: OpenSinkOptions,
): Promise<{ sink: RabbitmqSink; close(): Promise<void> }> {
  const { config, consumer, deadline, stop, note } = options
  const sink = new RabbitmqSink(sinkOptions(config, `conveyor-${consumer}`, deadline))
  const close = async () => sink.close()
  const away = ({ message: reason }: Error) => note({ reason }, 'RabbitMQ cannot be reached: waiting for it')
  const refusal = (error: unknown) =>
    error instanceof BrokerRefused ? new ConfigError(`${error.setting}: ${error.message}`) : undefined
  await whenReady(() => sink.open(), { refusal, away, signal: stop }).catch(error => {
    sink.close()
    throw error
  })
  return { sink, close }
}

function sinkOptions(config: AmqpConfig, name: string, deadline: number): RabbitmqSinkOptions {
  const { AMQP_QUEUE: queue, AMQP_QUEUE_TYPE: type, AMQP_DELIVERY_LIMIT: deliveryLimit } = config
  return {
    url: config.AMQP_URL,
    name,
    deadline,
    exchange: { name: config.AMQP_EXCHANGE, type: config.AMQP_EXCHANGE_TYPE },
    routingKey: config.AMQP_ROUTING_KEY,
    declare: config.AMQP_DECLARE === 'yes',
    ...(queue !== undefined && { queue: { name: queue, type, deliveryLimit } }),
  }
}
