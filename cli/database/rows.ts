import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeOf, exportRows, isSettingsFault, openPool } from '@conveyor/postgres'
import { ConfigError } from '@conveyor/service'
import { ConnectionLost } from '@conveyor/stream'

/** Rows of a run of a stream. */
export interface Table {
  readonly url: string
  readonly schema: string
  readonly stream: string
  /** Default: the latest run that has rows. */
  readonly epoch?: string | undefined
}

/** Ms that a statement may take. */
const DEADLINE = 60_000

/**
 * Gives `work` a folder with a table's rows as output files, and a name for people of what is in it. Throws
 * `ConnectionLost` when the database cannot be reached, `ConfigError` when there is no such database or table.
 */
export async function withRows<T>(
  table: Table,
  work: (directory: string, label: string) => Promise<T>,
): Promise<T> {
  const { url, schema, stream } = table
  const pool = openPool({ url, name: 'conveyor-validate', deadline: DEADLINE })
  const directory = await mkdtemp(join(tmpdir(), 'conveyor-rows-'))
  try {
    const epoch = await exportRows(pool, table, directory).catch(error => {
      throw explained(error)
    })
    // Without rows there is still something to check: that none is missing.
    if (epoch === undefined) await writeFile(join(directory, 'consumer_none.txt'), '')
    const label = `table ${schema}.messages, stream ${stream}${epoch ? `, run ${epoch}` : ''}`
    return await work(directory, label)
  } finally {
    await pool.end()
    await rm(directory, { recursive: true, force: true })
  }
}

function explained(error: Error): Error {
  if (isSettingsFault(error)) return new ConfigError(`--database-url: ${error.message}`)
  if (codeOf(error) !== undefined) return error
  const { code } = error as NodeJS.ErrnoException
  return new ConnectionLost(`PostgreSQL cannot be reached: ${error.message || code}`, { cause: error })
}
