import type { Finished, Origin, Refused, Sink } from '@conveyor/stream'
import type { ConfirmChannel } from 'amqplib'
import { unless } from './abort.ts'
import { asked, BrokerLost } from './broker.ts'
import { encode, type Outgoing, Unsendable } from './encode.ts'
import { BrokerBlocked, Publisher } from './publisher.ts'
import { type Count, counter, METRIC } from './semconv.ts'
import { declareExchange, declareQueue, type ExchangeOptions, type QueueOptions } from './topology.ts'

export interface RabbitmqSinkOptions {
  /** `amqp://[user:password@]host[:port][/vhost]` or `amqps://`. */
  readonly url: string
  /** Shown in the broker's list of connections. */
  readonly name: string
  /** Ms for connecting, and for a batch to be confirmed. */
  readonly deadline: number
  readonly exchange: ExchangeOptions
  readonly routingKey: string
  /** Bound to the exchange, so that messages find a home; default none. */
  readonly queue?: QueueOptions
  /** Whether exchange and queue are created when they are not there; default true. */
  readonly declare?: boolean
  /** Bytes of a message's body; default 16 MiB, which is what RabbitMQ 4 takes. */
  readonly maxBytes?: number
}

const MAX_BYTES = 16 * 1024 * 1024

/**
 * Publishes packages as persistent messages, and has stored them when the broker has confirmed all of a batch. What is
 * not confirmed is given again under the same messageId, `<stream>:<group>:<epoch>:<message id>`: by that, who takes them
 * from the queue knows a duplicate. Its connection is opened when it is needed, and thrown away with any error.
 */
export class RabbitmqSink implements Sink {
  private publisher: Publisher | undefined
  private opening: Promise<Publisher> | undefined
  private closed = false
  private readonly published: Count
  private readonly unconfirmed: Count

  /** @param failed told of each batch that failed */
  constructor(
    private readonly options: RabbitmqSinkOptions,
    private readonly failed: (error: Error) => void = () => {},
  ) {
    const { name } = options.exchange
    this.published = counter(METRIC.published, name, 'Packages published and confirmed')
    this.unconfirmed = counter(METRIC.unconfirmed, name, 'Packages of batches that were not confirmed')
  }

  /** Connects, and declares what it needs, unless that is done. Rejects with `BrokerLost` or `BrokerRefused`. */
  async open(): Promise<void> {
    await this.opened()
  }

  async store(packages: readonly Finished[], origin: Origin, signal: AbortSignal): Promise<Refused> {
    const refused = new Map<string, string>()
    const messages: Outgoing[] = []
    for (const one of packages) {
      try {
        messages.push(encode(one, origin, this.options.maxBytes ?? MAX_BYTES))
      } catch (error) {
        if (!(error instanceof Unsendable)) throw error
        refused.set(one.message.entry, error.message)
      }
    }
    if (messages.length > 0) await this.publish(messages, signal)
    return refused
  }

  /** Lets go of the connection; a batch under way rejects. Nothing can be stored after that. */
  close(): void {
    this.closed = true
    this.publisher?.close()
  }

  private async publish(messages: readonly Outgoing[], signal: AbortSignal): Promise<void> {
    const { exchange, routingKey, deadline } = this.options
    let publisher: Publisher | undefined
    try {
      publisher = await unless(signal, this.opened())
      await publisher.publish(messages, { exchange: exchange.name, routingKey }, deadline, signal)
      this.published(messages.length)
    } catch (error) {
      if (publisher && !signal.aborted && !(error instanceof BrokerBlocked)) publisher.close()
      if (publisher) this.unconfirmed(messages.length)
      this.failed(error as Error)
      throw error
    }
  }

  private async opened(): Promise<Publisher> {
    if (this.publisher?.open) return this.publisher
    this.opening ??= this.connect().finally(() => {
      this.opening = undefined
    })
    return this.opening
  }

  private async connect(): Promise<Publisher> {
    if (this.closed) throw new BrokerLost('the sink is closed')
    this.publisher = await Publisher.open(this.options, channel => this.prepare(channel))
    if (this.closed) this.publisher.close()
    return this.publisher
  }

  private async prepare(channel: ConfirmChannel): Promise<void> {
    const { exchange, queue, routingKey, declare = true } = this.options
    if (!declare) return
    await declareExchange(channel, exchange)
    if (!queue) return
    await declareQueue(channel, queue)
    await asked(channel.bindQueue(queue.name, exchange.name, routingKey), 'AMQP_QUEUE')
  }
}
