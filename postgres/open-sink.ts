import { whenReady } from '@conveyor/stream'
import { metrics } from '@opentelemetry/api'
import type { Pool } from 'pg'
import { migrate } from './migrate.ts'
import { codeOf, openPool, refusalOf } from './pool.ts'
import { PostgresSink } from './sink.ts'

export interface OpenSinkOptions {
  readonly url: string
  readonly schema: string
  /** Who stores. */
  readonly consumer: string
  /** Ms for connecting and for each statement. */
  readonly deadline: number
  /** Aborted to give up waiting for the server. */
  readonly stop: AbortSignal
  /** Told what people should know. */
  readonly note: (fields: object, text: string) => void
}

/**
 * Opens a sink whose tables are there: waits for the server, and applies the migrations. Resolves without a sink's being
 * ready when `stop` is aborted. Throws `ConfigError` for what waiting does not mend.
 */
export async function openPostgresSink(
  options: OpenSinkOptions,
): Promise<{ sink: PostgresSink; close(): Promise<void> }> {
  const { url, schema, consumer, deadline, stop, note } = options
  const pool = openPool({ url, name: `conveyor-${consumer}`, deadline, connections: 2 })
  const prepare = async () => {
    await migrate(pool, schema)
    await warnOfLoss(pool, note)
  }
  const close = () => pool.end()
  const away = ({ message: reason }: Error) =>
    note({ reason }, 'PostgreSQL cannot be reached: waiting for it')
  await whenReady(prepare, { refusal: refusalOf, away, signal: stop }).catch(async error => {
    await close()
    throw error
  })
  const errors = metrics.getMeter('@conveyor/postgres').createCounter('postgres_insert_errors', {
    description: 'Statements that failed',
  })
  errors.add(0, { consumer })
  const failed = (error: Error) => errors.add(1, { consumer, 'error.type': codeOf(error) ?? 'no answer' })
  return { sink: new PostgresSink(pool, schema, failed), close }
}

/** A server that answers before it has synced may forget what was acknowledged on its word. */
async function warnOfLoss(pool: Pool, note: OpenSinkOptions['note']): Promise<void> {
  const { rows: about } = await pool.query<{ version: string }>('SELECT version()')
  if (about[0]?.version.includes('PGlite')) return // for trying things out; who starts it says so
  for (const setting of ['fsync', 'synchronous_commit']) {
    const { rows } = await pool.query<Record<string, string>>(`SHOW ${setting}`)
    if (rows[0]?.[setting] === 'off')
      note({ setting }, `PostgreSQL runs with ${setting} = off: a power cut may lose rows`)
  }
}
