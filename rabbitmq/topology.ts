import type { Channel } from 'amqplib'
import { asked } from './broker.ts'

export interface QueueOptions {
  readonly name: string
  readonly type: 'quorum' | 'classic'
  /** Times that a quorum queue delivers a message again before it is a dead letter. */
  readonly deliveryLimit: number
}

export interface ExchangeOptions {
  readonly name: string
  readonly type: 'direct' | 'fanout' | 'topic' | 'headers'
}

/** Where what a queue's consumers reject goes. */
export function deadQueueOf(queue: string): string {
  return `${queue}.dead`
}

/**
 * Creates a durable queue, and the queue of its dead letters, unless they are there. A quorum queue keeps a message
 * until the queue of its dead letters has confirmed it, which is why it must not drop what it has no room for:
 * https://www.rabbitmq.com/docs/quorum-queues#dead-lettering
 * Rejects with `BrokerRefused` when one is there with other arguments.
 */
export async function declareQueue(
  channel: Channel,
  { name, type, deliveryLimit }: QueueOptions,
): Promise<void> {
  const kind = { 'x-queue-type': type }
  await asked(channel.assertQueue(deadQueueOf(name), { durable: true, arguments: kind }), 'AMQP_QUEUE')
  const ofQuorum = {
    'x-delivery-limit': deliveryLimit,
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  }
  const args = {
    ...kind,
    'x-dead-letter-exchange': '', // the default one, which leads to the queue of the key's name
    'x-dead-letter-routing-key': deadQueueOf(name),
    ...(type === 'quorum' && ofQuorum),
  }
  await asked(channel.assertQueue(name, { durable: true, arguments: args }), 'AMQP_QUEUE')
}

/** Creates a durable exchange unless it is there. Rejects with `BrokerRefused` when it is there and of another type. */
export async function declareExchange(channel: Channel, { name, type }: ExchangeOptions): Promise<void> {
  await asked(channel.assertExchange(name, type, { durable: true }), 'AMQP_EXCHANGE')
}
