import { ConfigError } from '@conveyor/service'
import pg from 'pg'

export interface PoolOptions {
  /** `postgres://[user:password@]host[:port]/database[?options]`, as libpq has it. */
  readonly url: string
  /** Shown as application_name in pg_stat_activity. */
  readonly name: string
  /** Ms for connecting and for each statement. */
  readonly deadline: number
  /** Connections at most; default 1. */
  readonly connections?: number
}

/**
 * Connections that are opened when they are needed, and thrown away with any error: a broken one is never used again.
 * It is the caller that tries again.
 */
export function openPool({ url, name, deadline, connections = 1 }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: name,
    max: connections,
    connectionTimeoutMillis: deadline,
    query_timeout: deadline, // a server that was stopped, or is cut off, still accepts what is sent
    statement_timeout: deadline, // so that the server does not go on with what nobody waits for
    keepAlive: true,
    idleTimeoutMillis: 0,
    allowExitOnIdle: true,
  })
  pool.on('error', () => {}) // of a connection that nobody is using: the next statement opens another
  return pool
}

/** SQLSTATE classes of what is wrong with a row, which no repetition mends: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const OF_ROWS = /^(22|23|44|54|P0)/

/** Whether a statement failed because of what it was to store, and not because of the server or its settings. */
export function isRowFault(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && OF_ROWS.test(code)
}

/** SQLSTATE classes of what waiting does not mend: a wrong password, no such database or table, a right that is missing. */
const OF_SETTINGS = /^(0A|28|3D|3F|42)/

/** Whether a statement failed because of how the server is set up, or of the URL. */
export function isSettingsFault(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && OF_SETTINGS.test(code)
}

/** What to end with for such an error; undefined for what may pass. */
export function refusalOf(error: unknown): ConfigError | undefined {
  return isSettingsFault(error) ? new ConfigError(`DATABASE_URL: ${(error as Error).message}`) : undefined
}

/** The SQLSTATE of what PostgreSQL answered; undefined when it did not answer. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}
