import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { databaseSettings } from '@conveyor/postgres/config'
import { InvalidMix, parseMix } from '@conveyor/producer/mix'
import { runningRedis } from '@conveyor/redis'
import { rate } from '@conveyor/service'
import { checkName, connect, DEFAULTS, InvalidName, type Keys, keysOf } from '@conveyor/stream'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Redis } from 'ioredis'

/** A whole number from `min`; commander names the option and the value. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`A whole number from ${min} to ${max} is allowed.`)
    }
    return value
  }
}

export function rateOption(text: string): string {
  const parsed = rate.safeParse(text)
  if (!parsed.success) throw new InvalidArgumentError(`${parsed.error.issues[0]?.message}.`)
  return text
}

/** Types of packages and their weights, as text. */
export function mixOption(text: string): string {
  try {
    parseMix(text)
    return text
  } catch (error) {
    if (error instanceof InvalidMix) throw new InvalidArgumentError(`${error.message}.`)
    throw error
  }
}

/** The consumers load it; that it is there at all is better said at once. */
export function handlerOption(path: string): string {
  if (path !== 'demo' && !existsSync(path))
    throw new InvalidArgumentError('The path of a module, or demo, is allowed.')
  return path
}

export function redisUrl(text: string): string {
  if (!/^rediss?:\/\/\S+$/.test(text))
    throw new InvalidArgumentError('A URL such as redis://127.0.0.1:6379 is allowed.')
  return text
}

export const outputDir = () =>
  new Option('--output-dir <dir>', 'directory of the output files (default: consumer_output)').env(
    'OUTPUT_DIR',
  )

export function amqpUrl(text: string): string {
  if (!/^amqps?:\/\/\S+$/.test(text) || !URL.canParse(text))
    throw new InvalidArgumentError('A URL such as amqp://user@127.0.0.1:5672/vhost is allowed.')
  return text
}

export const databaseUrl = (description: string) =>
  new Option('--database-url <url>', description).argParser(text => {
    if (!databaseSettings.DATABASE_URL.safeParse(text).success)
      throw new InvalidArgumentError('A URL such as postgres://user@127.0.0.1:5432/database is allowed.')
    return text
  })

function nameOption(text: string): string {
  try {
    return checkName('name', text)
  } catch (error) {
    if (error instanceof InvalidName)
      throw new InvalidArgumentError('1 to 64 of A-Z a-z 0-9 _ - are allowed.')
    throw error
  }
}

/** Which stream and group a command is about, and where. */
export interface Target {
  readonly redisUrl: string
  readonly stream: string
  readonly group: string
}

/** Adds the options of {@link Target} to a command. */
export function withTarget(command: Command): Command {
  return command
    .addOption(
      new Option('--redis-url <url>', 'the Redis to look at')
        .env('REDIS_URL')
        .default(
          runningRedis(resolve('.conveyor/redis')) ?? 'redis://127.0.0.1:6379',
          'the one that `conveyor up` runs here, or redis://127.0.0.1:6379',
        )
        .argParser(redisUrl),
    )
    .addOption(
      new Option('--stream <name>', 'name of the stream')
        .env('STREAM')
        .default('number_stream')
        .argParser(nameOption),
    )
    .addOption(
      new Option('--group <name>', 'name of the consumer group')
        .env('GROUP')
        .default('consumer_group')
        .argParser(nameOption),
    )
}

/** Adds what is known of the consumers' heartbeats, by which they are judged. */
export function withBeats(command: Command): Command {
  return command
    .addOption(
      new Option('--beat-interval <ms>', 'the time between two heartbeats of a consumer')
        .env('BEAT_INTERVAL_MS')
        .default(DEFAULTS.beatInterval)
        .argParser(wholeNumber(10, 60_000)),
    )
    .addOption(
      new Option('--death-beats <n>', 'heartbeats that a dead consumer has missed')
        .env('DEATH_BEATS')
        .default(DEFAULTS.deathBeats)
        .argParser(wholeNumber(2, 1000)),
    )
}

/**
 * Opens a connection for as long as `work` takes. Rejects with `ConnectionLost` when Redis cannot be reached, which
 * is exit code 3.
 */
export async function withRedis<T>(
  { redisUrl: url, stream, group }: Target,
  work: (redis: Redis, keys: Keys) => Promise<T>,
): Promise<T> {
  const redis = await connect(url, 'conveyor-cli')
  try {
    return await work(redis, keysOf(stream, group))
  } finally {
    redis.disconnect()
  }
}
