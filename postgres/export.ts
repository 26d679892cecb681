import { createWriteStream, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import type { Pool } from 'pg'

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
  const files = new Map<string, WriteStream>()
  for (let last = ''; ; ) {
    const { rows } = await pool.query<Exported>(page, [stream, group, run, last])
    const lines = new Map<string, string>()
    for (const { consumer, package: number, at } of rows) {
      const line = `Consumer ${consumer} processed package ${number} (timestamp: ${at})\n`
      lines.set(consumer, (lines.get(consumer) ?? '') + line)
    }
    for (const [consumer, text] of lines) {
      const file = files.get(consumer) ?? createWriteStream(join(directory, `consumer_${consumer}.txt`))
      files.set(consumer, file)
      await new Promise<void>((done, reject) => file.write(text, error => (error ? reject(error) : done())))
    }
    if (rows.length < PAGE) break
    last = (rows.at(-1) as Exported).id
  }
  for (const file of files.values()) {
    file.end()
    await finished(file)
  }
  return run
}
