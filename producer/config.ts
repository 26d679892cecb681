import { randomInt } from 'node:crypto'
import {
  apiSettings,
  ConfigError,
  common,
  integer,
  names,
  optionalInteger,
  rate,
  readConfig,
} from '@conveyor/service'
import { z } from 'zod'
import { InvalidMix, MOST_SEED, parseMix } from './mix.ts'

export const producerSettings = z.object({
  ...common,
  /** Consumer groups that must see every package before it may be trimmed, separated by commas. */
  GROUPS: names('consumer_group'),
  /** Messages per second, or max. */
  RATE: rate.default(10),
  /** Last package number to give out; 0 for no end. */
  PACKAGES: integer(0, 0, Number.MAX_SAFE_INTEGER),
  /** Packages that may wait for the slowest group before the producer waits too. */
  MAX_BACKLOG: integer(100_000, 1, 1_000_000_000),
  /** Types of packages and their weights; unset: nothing but numbers. */
  MIX: z.string().transform(mix).optional(),
  /** Which package is of which type, as far as chance decides; unset: chosen at random. */
  SEED: optionalInteger(0, MOST_SEED),
  TRIM_INTERVAL_MS: integer(10_000, 10, 86_400_000),
  /** The stream is trimmed when it is longer than this … */
  TRIM_ABOVE: integer(100, 0, 1_000_000_000),
  /** … to this many of its newest entries. */
  TRIM_TO: integer(50, 1, 10_000),
  ...apiSettings,
  PORT: integer(8000, 0, 65_535),
  /** Path of a JSON Schema that messages must follow; unset: any JSON. */
  MESSAGE_SCHEMA: z.string().optional(),
  /** Bytes of a request's body, or of a line of a stream. */
  MAX_BODY_BYTES: integer(1_048_576, 1024, 67_108_864),
})

function mix(text: string, issues: z.RefinementCtx) {
  try {
    return parseMix(text)
  } catch (error) {
    if (!(error instanceof InvalidMix)) throw error
    issues.addIssue(error.message)
    return z.NEVER
  }
}

export type ProducerConfig = Omit<z.output<typeof producerSettings>, 'SEED'> & { SEED: number }

/** Reads the producer's settings. Throws `ConfigError`. */
export function producerConfig(env?: NodeJS.ProcessEnv): ProducerConfig {
  const config = readConfig(producerSettings, env)
  if (config.TRIM_TO > Math.max(config.TRIM_ABOVE, 1)) {
    throw new ConfigError(`TRIM_TO=${config.TRIM_TO}: at most TRIM_ABOVE (${config.TRIM_ABOVE}) is allowed`)
  }
  return { ...config, SEED: config.SEED ?? randomInt(MOST_SEED + 1) }
}
