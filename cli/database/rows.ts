import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeOf, ExportFailed, exportRows, isSettingsFault, openPool, type Rows } from '@conveyor/postgres'
import { ConfigError } from '@conveyor/service'
import { ConnectionLost } from '@conveyor/stream'

/** Ms that a statement may take. */
const DEADLINE = 60_000

/**
 * Gives `work` a folder with a table's rows as output files, and a name for people of what is in it. Throws
 * `ConnectionLost` when the database cannot be reached, `ConfigError` when there is no such database or table.
 */
export async function withRows<T>(
  { url, ...rows }: Rows & { readonly url: string },
  work: (directory: string, label: string) => Promise<T>,
): Promise<T> {
  const { schema, stream, group } = rows
  const pool = openPool({ url, name: 'conveyor-validate', deadline: DEADLINE })
  const directory = await mkdtemp(join(tmpdir(), 'conveyor-rows-'))
  try {
    const epoch = await exportRows(pool, rows, directory).catch(error => {
      throw explained(error)
    })
    // Without rows there is still something to check: that none is missing.
    if (epoch === undefined) await writeFile(join(directory, 'consumer_none.txt'), '')
    const label = `table ${schema}.messages, stream ${stream}, group ${group}${epoch ? `, run ${epoch}` : ''}`
    return await work(directory, label)
  } finally {
    await pool.end()
    await rm(directory, { recursive: true, force: true })
  }
}

function explained(error: Error): Error {
  if (error instanceof ExportFailed) return error
  if (isSettingsFault(error)) return new ConfigError(`--database-url: ${error.message}`)
  if (codeOf(error) !== undefined) return error
  const { code } = error as NodeJS.ErrnoException
  return new ConnectionLost(`PostgreSQL cannot be reached: ${error.message || code}`, { cause: error })
}
