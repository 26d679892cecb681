import { databaseSettings } from '@conveyor/postgres/config'
import { amqpSettings } from '@conveyor/rabbitmq/config'
import { ConfigError, common, integer, name, names, optionalInteger, readConfig } from '@conveyor/service'
import { DEFAULTS } from '@conveyor/stream'
import { z } from 'zod'
import { identity } from './identity.ts'

const MB = 1024 * 1024

export const consumerSettings = z.object({
  ...common,
  GROUP: name('consumer_group') as z.ZodDefault<z.ZodString>,
  /** Names the consumer and its output file. */
  CONSUMER_ID: name(),
  OUTPUT_DIR: z.string().default('consumer_output'),
  /** Where a package goes that is done: a line of the output file, a row of a table, an exchange, or nowhere. */
  OUTPUT: z
    .enum(['file', 'postgres', 'rabbitmq', 'none'], { error: 'file, postgres, rabbitmq or none is allowed' })
    .default('file'),
  ...databaseSettings,
  ...amqpSettings,
  /** The next stream, to which what the handler returns is sent on. */
  FORWARD_TO: name(),
  /** Groups that must see all of it. */
  FORWARD_GROUPS: names('consumer_group'),
  /** Packages that they may be behind before nothing more is handled. */
  FORWARD_MAX_BACKLOG: integer(100_000, 1, 1_000_000_000),
  /** Path of a module whose default export is the handler, or `demo`. */
  HANDLER: z.string().optional(),
  /** Handler calls at the same time, when the handler is asynchronous; unset: what the handler's module says. */
  HANDLER_CONCURRENCY: optionalInteger(1, 10_000),
  /** Ms until an asynchronous handler is given up, which is a failed attempt; 0 for never. */
  HANDLER_TIMEOUT_MS: optionalInteger(0, 86_400_000),
  /** A package whose handling failed so often goes to the dead letters. */
  MAX_ATTEMPTS: optionalInteger(1, 1000),
  /** Ms until the second attempt at most; doubled with each further one … */
  RETRY_DELAY_MS: integer(DEFAULTS.retryDelay, 0, 86_400_000),
  /** … up to this. */
  RETRY_MAX_DELAY_MS: integer(DEFAULTS.retryMaxDelay, 0, 7 * 86_400_000),
  /** Whose history is kept. */
  HISTORY: z
    .enum(['all', 'failures', 'off'], { error: 'all, failures or off is allowed' })
    .default(DEFAULTS.history),
  /** Ms that history is kept. */
  HISTORY_TTL_MS: integer(DEFAULTS.historyTtl, 1000, 366 * 86_400_000),
  /** Entries read at once, at most. */
  BATCH: integer(DEFAULTS.batch, 1, 1000),
  /** Entries received and not settled, at most. */
  MAX_HELD: integer(DEFAULTS.maxHeld, 1, 100_000),
  MAX_HELD_BYTES: integer(DEFAULTS.maxHeldBytes, 1024, 1024 * MB),
  /** Bytes of output that may wait for the disk before reading stops. */
  MAX_UNFLUSHED_BYTES: integer(DEFAULTS.maxUnflushed, 1024, 256 * MB),
  /** An entry that was delivered so often without an outcome goes to the dead letters. */
  MAX_DELIVERIES: integer(DEFAULTS.maxDeliveries, 1, 1000),
  BEAT_INTERVAL_MS: integer(DEFAULTS.beatInterval, 10, 60_000),
  /** A peer whose heartbeat stood still over so many of one's own is dead. */
  DEATH_BEATS: integer(DEFAULTS.deathBeats, 2, 1000),
  HEALTH_HOST: z.string().default('127.0.0.1'),
  /** 0 takes any free port. */
  HEALTH_PORT: integer(0, 0, 65_535),
})

export type ConsumerConfig = Omit<z.output<typeof consumerSettings>, 'CONSUMER_ID'> & { CONSUMER_ID: string }

/** Reads the consumer's settings. Throws `ConfigError`. */
export function consumerConfig(env?: NodeJS.ProcessEnv): ConsumerConfig {
  const config = readConfig(consumerSettings, env)
  const { BATCH, MAX_HELD, BEAT_INTERVAL_MS, DEATH_BEATS, COMMAND_TIMEOUT_MS } = config
  if (config.FORWARD_TO === config.STREAM)
    throw new ConfigError(`FORWARD_TO=${config.FORWARD_TO}: another stream than STREAM is allowed`)
  if (config.OUTPUT === 'postgres' && config.DATABASE_URL === undefined)
    throw new ConfigError(
      'OUTPUT=postgres: DATABASE_URL is needed, such as postgres://user@host:5432/database',
    )
  if (config.OUTPUT === 'rabbitmq' && config.AMQP_URL === undefined)
    throw new ConfigError('OUTPUT=rabbitmq: AMQP_URL is needed, such as amqp://user@host:5672/vhost')
  if (BATCH > MAX_HELD) throw new ConfigError(`BATCH=${BATCH}: at most MAX_HELD (${MAX_HELD}) is allowed`)
  if (COMMAND_TIMEOUT_MS < 2 * BEAT_INTERVAL_MS) {
    throw new ConfigError(
      `COMMAND_TIMEOUT_MS=${COMMAND_TIMEOUT_MS}: at least twice BEAT_INTERVAL_MS (${BEAT_INTERVAL_MS}) is allowed`,
    )
  }
  if (BEAT_INTERVAL_MS * DEATH_BEATS < 100) {
    throw new ConfigError(
      `DEATH_BEATS=${DEATH_BEATS}: with BEAT_INTERVAL_MS=${BEAT_INTERVAL_MS} a pause of under 100 ms would be death; choose more`,
    )
  }
  if (config.RETRY_MAX_DELAY_MS < config.RETRY_DELAY_MS) {
    throw new ConfigError(
      `RETRY_MAX_DELAY_MS=${config.RETRY_MAX_DELAY_MS}: at least RETRY_DELAY_MS (${config.RETRY_DELAY_MS}) is allowed`,
    )
  }
  return { ...config, CONSUMER_ID: config.CONSUMER_ID ?? identity() }
}
