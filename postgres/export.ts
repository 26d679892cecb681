import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkName } from '@conveyor/stream'
import type { Pool } from 'pg'

/** The rows were read, but cannot become files. The message is one line. */
export class ExportFailed extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ExportFailed'
  }
}

/** Rows fetched at once. */
const PAGE = 10_000

interface Exported {
  readonly id: string
  readonly consumer: string
  readonly package: string
  readonly at: string
}

/** Which rows. */
export interface Rows {
  readonly schema: string
  readonly stream: string
  readonly group: string
  /** Default: the latest run that has rows. */
  readonly epoch?: string | undefined
}

/**
 * Writes the rows of one run as the output files that consumers would have written, into an empty folder: so whoever
 * checks files can check a table.
 *
 * Rejects with {@link ExportFailed}, or PostgreSQL's error.
 *
 * @returns the epoch; undefined when there are no rows
 */
export async function exportRows(
  pool: Pool,
  { schema, stream, group, epoch }: Rows,
  directory: string,
): Promise<string | undefined> {
  const table = `"${schema}".messages`
  const latest = `SELECT max(epoch) AS epoch FROM ${table} WHERE stream = $1 AND consumer_group = $2` // an epoch begins with its date
  const run = epoch ?? (await pool.query<{ epoch: string | null }>(latest, [stream, group])).rows[0]?.epoch
  if (!run) return undefined
  const page = `
    SELECT id, consumer, package, extract(epoch FROM produced_at)::float8 AS at
    FROM ${table} WHERE stream = $1 AND consumer_group = $2 AND epoch = $3 AND id > $4 ORDER BY id LIMIT ${PAGE}`
  for (let last = ''; ; ) {
    const { rows } = await pool.query<Exported>(page, [stream, group, run, last])
    const lines = new Map<string, string>()
    for (const { consumer, package: number, at } of rows) {
      const line = `Consumer ${consumer} processed package ${number} (timestamp: ${at})\n`
      lines.set(consumer, (lines.get(consumer) ?? '') + line)
    }
    for (const [consumer, text] of lines) await write(fileOf(directory, consumer), text)
    if (rows.length < PAGE) break
    last = (rows.at(-1) as Exported).id
  }
  return run
}

/** Throws {@link ExportFailed} for a name that cannot be a part of a path: anybody may have written the row. */
function fileOf(directory: string, consumer: string): string {
  try {
    return join(directory, `consumer_${checkName('consumer', consumer)}.txt`)
  } catch (error) {
    throw new ExportFailed(`a row cannot be exported: ${(error as Error).message}`, { cause: error })
  }
}

async function write(file: string, text: string): Promise<void> {
  await appendFile(file, text).catch(error => {
    throw new ExportFailed(`rows cannot be written to ${file}: ${error.message}`, { cause: error })
  })
}
