import { databaseSettings } from '@conveyor/postgres/config'
import { apiSettings, ConfigError, common, integer, names, readConfig } from '@conveyor/service'
import { SOURCE_CALL } from '@conveyor/stream'
import { z } from 'zod'

/** A source, and the table whose rows it sends. */
export interface SourceTableName {
  readonly name: string
  readonly schema: string
  readonly table: string
}

const NAME = '[A-Za-z0-9_-]{1,64}'
/** As the database writes it: PostgreSQL cuts names off after 63 bytes. */
const IDENTIFIER = '[^\\s,=."\\0]{1,63}'
const SOURCE = `${NAME}=(?:${IDENTIFIER}\\.)?${IDENTIFIER}`

export const sourceSettings = z.object({
  ...common,
  ...databaseSettings,
  /** What is sent: `<name>=<table>` or `<name>=<schema>.<table>`, separated by commas. */
  SOURCES: z
    .string()
    .regex(
      new RegExp(`^${SOURCE}(,${SOURCE})*$`),
      '<name>=<table> or <name>=<schema>.<table>, separated by commas, such as system-1=system_1_orders, is allowed',
    )
    .default('system-1=system_1_orders,system-2=system_2_orders'),
  /** Consumer groups that must see every package before it may be trimmed, separated by commas. */
  GROUPS: names('consumer_group'),
  /** Packages that may wait for the slowest group before nothing more is sent. */
  MAX_BACKLOG: integer(100_000, 1, 1_000_000_000),
  /** Ms between two looks for new rows; 0: what is there is sent when a run is started, and not by itself. */
  POLL_MS: integer(0, 0, 86_400_000),
  /** Rows that are read and appended at once, at most. */
  BATCH: integer(SOURCE_CALL.rows, 1, SOURCE_CALL.rows),
  ...apiSettings,
  PORT: integer(8001, 0, 65_535),
})

export type SourceConfig = Omit<z.output<typeof sourceSettings>, 'SOURCES' | 'DATABASE_URL'> & {
  SOURCES: readonly SourceTableName[]
  DATABASE_URL: string
}

/** Reads the settings of the service. Throws `ConfigError`. */
export function sourceConfig(env?: NodeJS.ProcessEnv): SourceConfig {
  const config = readConfig(sourceSettings, env)
  const { DATABASE_URL } = config
  if (DATABASE_URL === undefined)
    throw new ConfigError('DATABASE_URL is needed, such as postgres://user@127.0.0.1:5432/database')
  const sources = config.SOURCES.split(',').map((text): SourceTableName => {
    const [name = '', where = ''] = text.split('=')
    const [table = '', schema = config.DATABASE_SCHEMA] = where.split('.').reverse()
    return { name, schema, table }
  })
  const twice = sources.find(({ name }, n) => sources.findIndex(one => one.name === name) !== n)
  if (twice) throw new ConfigError(`SOURCES: ${twice.name} is named twice; each name once is allowed`)
  return { ...config, SOURCES: sources, DATABASE_URL }
}
