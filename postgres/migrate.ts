import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type { Pool, PoolClient } from 'pg'

const require = createRequire(import.meta.url)

/** The steps that lead from an empty schema to the present one: `<number>-<name>.sql`. */
const MIGRATIONS = dirname(require.resolve('#migrations/1-messages.sql'))

/** Names this project's lock among all that a server's clients may take. */
const LOCK = 0x636f6e76

/**
 * Brings a schema up to date: creates it, and applies the steps that it has not had, all in one transaction. Processes
 * that start at the same time wait for each other. A schema that is up to date is only read, by a user who need not
 * have the right to create anything. Rejects with PostgreSQL's error; then nothing was changed.
 */
export async function migrate(pool: Pool, schema: string): Promise<void> {
  if ((await stepsLeft(pool, schema)).length === 0) return
  const client = await pool.connect()
  client.on('error', () => {}) // a connection that is lost: the statement says so
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
    for (const { file, step } of await stepsLeft(client, schema)) {
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

interface Step {
  readonly file: string
  readonly step: number
}

/** The steps that a schema has not had, in their order. */
async function stepsLeft(db: Pool | PoolClient, schema: string): Promise<Step[]> {
  const steps = readdirSync(MIGRATIONS)
    .map((file): Step => ({ file, step: Number.parseInt(file, 10) }))
    .sort((a, b) => a.step - b.step)
  const table = `"${schema}".migrations`
  const { rows: found } = await db.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    table,
  ])
  if (!found[0]?.there) return steps
  const { rows } = await db.query<{ step: number }>(`SELECT step FROM ${table}`)
  const applied = new Set(rows.map(({ step }) => step))
  return steps.filter(({ step }) => !applied.has(step))
}
