import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type { Pool } from 'pg'

const require = createRequire(import.meta.url)

/** The steps that lead from an empty schema to the present one: `<number>-<name>.sql`. */
const MIGRATIONS = dirname(require.resolve('#migrations/1-messages.sql'))

/** Names this project's lock among all that a server's clients may take. */
const LOCK = 0x636f6e76

/**
 * Brings a schema up to date: creates it, and applies the steps that it has not had, all in one transaction. Processes
 * that start at the same time wait for each other. Rejects with PostgreSQL's error; then nothing was changed.
 */
export async function migrate(pool: Pool, schema: string): Promise<void> {
  const steps = readdirSync(MIGRATIONS)
    .map(file => ({ file, step: Number.parseInt(file, 10) }))
    .sort((a, b) => a.step - b.step)
  const client = await pool.connect()
  let failure: Error | undefined
  try {
    await client.query('BEGIN')
    await client.query(`SELECT pg_advisory_xact_lock(${LOCK})`)
    const known = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])
    if (known.rowCount === 0) await client.query(`CREATE SCHEMA "${schema}"`)
    await client.query(`SET LOCAL search_path TO "${schema}"`)
    await client.query(
      'CREATE TABLE IF NOT EXISTS migrations (step int PRIMARY KEY, file text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
    )
    const { rows } = await client.query<{ step: number }>('SELECT step FROM migrations')
    const applied = new Set(rows.map(({ step }) => step))
    for (const { file, step } of steps) {
      if (applied.has(step)) continue
      await client.query(readFileSync(`${MIGRATIONS}/${file}`, 'utf8'))
      await client.query('INSERT INTO migrations (step, file) VALUES ($1, $2)', [step, file])
    }
    await client.query('COMMIT')
  } catch (error) {
    failure = error as Error
    throw error
  } finally {
    client.release(failure)
  }
}
