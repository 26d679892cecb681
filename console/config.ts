import { common, integer, name, readConfig, token } from '@conveyor/service'
import { DEFAULTS } from '@conveyor/stream'
import { z } from 'zod'

const url = z.string().regex(/^https?:\/\/\S+$/, 'a URL such as http://localhost:16686 is allowed')

export const consoleSettings = z.object({
  ...common,
  GROUP: name('consumer_group') as z.ZodDefault<z.ZodString>,
  HOST: z.string().default('127.0.0.1'),
  /** 0 takes any free port. */
  PORT: integer(8080, 0, 65_535),
  /** What requests that change something must carry. */
  CONSOLE_TOKEN: token,
  /** Directory of the consumers' files. */
  OUTPUT_DIR: z.string().default('consumer_output'),
  /** Where Jaeger shows traces. */
  JAEGER_URL: url.default('http://localhost:16686'),
  BEAT_INTERVAL_MS: integer(DEFAULTS.beatInterval, 10, 60_000),
  DEATH_BEATS: integer(DEFAULTS.deathBeats, 2, 1000),
})

export type ConsoleConfig = z.output<typeof consoleSettings>

/** Reads the console's settings. Throws `ConfigError`. */
export function consoleConfig(env?: NodeJS.ProcessEnv): ConsoleConfig {
  return readConfig(consoleSettings, env)
}
