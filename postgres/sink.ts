import type { Finished, Origin, Refused, Sink } from '@conveyor/stream'
import type { Pool } from 'pg'
import { isRowFault } from './pool.ts'

/** A package as its row has it. */
interface Row {
  readonly entry: string
  readonly json: string
}

/**
 * Stores packages as rows of `messages`, a batch in one statement, each (stream, group, epoch, message id) once: what is
 * stored again after a lost answer changes nothing. Rows that PostgreSQL can never take are refused one by one, the
 * others of their batch are stored.
 */
export class PostgresSink implements Sink {
  /** One batch is made, or its answer read, while PostgreSQL works on the other. */
  readonly concurrency = 2

  private readonly insert: string

  /**
   * @param pool whose tables {@link migrate} has made
   * @param failed told of each statement that failed
   */
  constructor(
    private readonly pool: Pool,
    schema: string,
    private readonly failed: (error: Error) => void = () => {},
  ) {
    // Rows as one JSON text, as a parameter: so they stay out of the server's log, where failed statements are.
    this.insert = `
      INSERT INTO "${schema}".messages (stream, consumer_group, epoch, consumer, id, package, produced_at, payload, result)
      SELECT $1, $2, $3, $4, id, package, to_timestamp(at), payload, result
      FROM json_to_recordset($5) AS row(id text, package bigint, at float8, payload jsonb, result jsonb)
      ON CONFLICT (id, epoch, stream, consumer_group) DO NOTHING`
  }

  async store(packages: readonly Finished[], origin: Origin, signal: AbortSignal): Promise<Refused> {
    const refused = new Map<string, string>()
    const rows: Row[] = []
    for (const one of packages) {
      try {
        rows.push({ entry: one.message.entry, json: rowOf(one) })
      } catch (error) {
        refused.set(one.message.entry, `what the handler returned is no JSON: ${(error as Error).message}`)
      }
    }
    if (rows.length > 0) await this.storeRows(rows, origin, refused, signal)
    return refused
  }

  /** Halves what is refused until the rows that are to blame stand alone. */
  private async storeRows(
    rows: readonly Row[],
    origin: Origin,
    refused: Map<string, string>,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    try {
      const { stream, group, epoch, consumer } = origin
      const json = `[${rows.map(row => row.json).join()}]`
      await this.pool.query(this.insert, [stream, group, epoch, consumer, json])
    } catch (error) {
      this.failed(error as Error)
      if (!isRowFault(error)) throw error
      if (rows.length === 1) {
        refused.set((rows[0] as Row).entry, (error as Error).message)
        return
      }
      const half = rows.length >> 1
      await this.storeRows(rows.slice(0, half), origin, refused, signal)
      await this.storeRows(rows.slice(half), origin, refused, signal)
    }
  }
}

/** Throws for what JSON cannot hold. */
function rowOf({ message, result }: Finished): string {
  const { id, package: number, timestamp, payload } = message
  const start = `{"id":"${id}","package":${number},"at":${timestamp},"payload":${JSON.stringify(payload)}`
  const returned = result === undefined ? undefined : JSON.stringify(result)
  return returned === undefined ? `${start}}` : `${start},"result":${returned}}`
}
