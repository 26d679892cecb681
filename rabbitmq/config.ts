import { ConfigError, common, integer, names, readConfig } from '@conveyor/service'
import { z } from 'zod'

/** Names of queues and exchanges: AMQP allows 255 bytes, of which the dead-letter queue's ending needs some. */
const amqpName = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, '1 to 200 printable ASCII characters without spaces are allowed')

/** Variables of services that use a queue. */
const queueSettings = {
  AMQP_URL: z
    .string()
    .regex(/^amqps?:\/\/\S+$/, 'a URL such as amqp://user@127.0.0.1:5672/vhost is allowed')
    .refine(URL.canParse, 'a URL such as amqp://user@127.0.0.1:5672/vhost is allowed')
    .optional(),
  AMQP_QUEUE: amqpName.optional(),
  AMQP_QUEUE_TYPE: z.enum(['quorum', 'classic'], { error: 'quorum or classic is allowed' }).default('quorum'),
  /** Times that a quorum queue delivers a message again before it is a dead letter there. */
  AMQP_DELIVERY_LIMIT: integer(1000, 1, 1_000_000),
  /** Whether queue and exchange are created when they are not there. */
  AMQP_DECLARE: z.enum(['yes', 'no'], { error: 'yes or no is allowed' }).default('yes'),
}

/** Variables of services that send packages to RabbitMQ. */
export const amqpSettings = {
  ...queueSettings,
  AMQP_EXCHANGE: amqpName.default('conveyor'),
  AMQP_EXCHANGE_TYPE: z
    .enum(['direct', 'fanout', 'topic', 'headers'], {
      error: 'direct, fanout, topic or headers is allowed',
    })
    .default('direct'),
  AMQP_ROUTING_KEY: amqpName.default('packages'),
}

export const bridgeSettings = z.object({
  ...common,
  ...queueSettings,
  /** Messages that the broker gives it before they are acknowledged. */
  AMQP_PREFETCH: integer(500, 1, 10_000),
  /** Groups that must see every message, separated by commas. */
  GROUPS: names('consumer_group'),
  /** Packages that the slowest of them may be behind before nothing more is taken. */
  MAX_BACKLOG: integer(100_000, 1, 1_000_000_000),
  /** Bytes of a message. */
  MAX_BODY_BYTES: integer(1_048_576, 1024, 67_108_864),
  HEALTH_HOST: z.string().default('127.0.0.1'),
  /** 0 takes any free port. */
  HEALTH_PORT: integer(0, 0, 65_535),
})

export type BridgeConfig = z.output<typeof bridgeSettings> & { AMQP_URL: string; AMQP_QUEUE: string }

/** Reads the bridge's settings. Throws `ConfigError`. */
export function bridgeConfig(env?: NodeJS.ProcessEnv): BridgeConfig {
  const { AMQP_URL, AMQP_QUEUE, ...others } = readConfig(bridgeSettings, env)
  if (AMQP_URL === undefined)
    throw new ConfigError('AMQP_URL: not set; a URL such as amqp://user@127.0.0.1:5672/vhost is needed')
  if (AMQP_QUEUE === undefined)
    throw new ConfigError('AMQP_QUEUE: not set; the queue that messages are taken from is needed')
  return { ...others, AMQP_URL, AMQP_QUEUE }
}
