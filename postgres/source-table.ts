import type { SourceRow } from '@conveyor/stream'
import type { Pool } from 'pg'
import { defer, EMPTY, expand, map, type Observable, switchMap, timer } from 'rxjs'
import type { FoundTable } from './find-table.ts'

/** Rows and bytes of JSON that are read at once. */
export interface PageSize {
  readonly rows: number
  /** A single row may be larger. */
  readonly bytes: number
}

/** A row that is too large for a message. Nothing behind it can be sent. */
export class RowTooLarge extends Error {
  constructor(table: string, id: string, bytes: number) {
    super(`row ${id} of ${table} has ${bytes} bytes as JSON: at most ${MOST_BYTES} are allowed`)
    this.name = 'RowTooLarge'
  }
}

/** Bytes of a row as JSON at most. */
const MOST_BYTES = 64 * 1024 * 1024
/** Rows that are counted at most. */
export const MOST_COUNTED = 1_000_000
/** Ms between two looks whether transactions have ended. */
const LOOK = 50

/**
 * The rows of a table in the order of their ids, with nothing left out.
 *
 * Ids are given out before their rows can be seen: a transaction that commits late adds a row below others that were
 * read. No writer is locked out for that. Instead, (1) {@link last} tells the highest id that can be seen, H; (2)
 * {@link settled} collects the transactions that may write to the table at that time, and waits until they have ended;
 * (3) then no row up to H can be added any more, for whoever was given an id below H held its lock on the table by
 * then, or had ended. So {@link page} may read up to H. Ids must be given out by the INSERT itself, as by an identity
 * column, and in order (a sequence with CACHE 1).
 */
export class SourceTable {
  private readonly select: string

  /** @param source name of the source, which its messages carry; a column of that name comes before it */
  constructor(
    private readonly pool: Pool,
    private readonly table: FoundTable,
    source: string,
  ) {
    const json = 'row_to_json(r.*)::text'
    // As text: a number must not pass through JavaScript, which would round it.
    const body = table.hasSource ? json : `'{"source":"${source}",' || substr(${json}, 2)`
    // JSON is made behind the LIMIT: before it, a plan that sorts would make it of all rows up to the last one. OFFSET 0
    // has it made once a row.
    this.select = `
      SELECT id, size, CASE WHEN size <= ${MOST_BYTES} THEN body END AS body
      FROM (SELECT *, sum(size) OVER place AS total, row_number() OVER place AS place
            FROM (SELECT *, octet_length(body) AS size
                  FROM (SELECT r.id, ${body} AS body
                        FROM (SELECT * FROM ${table.sql} WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3) AS r
                        OFFSET 0) AS bodies) AS sizes
            WINDOW place AS (ORDER BY id ROWS UNBOUNDED PRECEDING)) AS totals
      WHERE total <= $4 OR place = 1
      ORDER BY id`
  }

  /** The highest id that can be seen now; `0` when there is none. */
  async last(): Promise<string> {
    const { rows } = await this.pool.query<{ last: string }>(
      `SELECT greatest(max(id), 0)::text AS last FROM ${this.table.sql}`,
    )
    return rows[0]?.last ?? '0'
  }

  /** Rows behind one, {@link MOST_COUNTED} at most. */
  async countAfter(id: string): Promise<number> {
    const { rows } = await this.pool.query<{ count: string }>(
      `SELECT count(*) FROM (SELECT FROM ${this.table.sql} WHERE id > $1 LIMIT ${MOST_COUNTED}) AS counted`,
      [id],
    )
    return Number(rows[0]?.count)
  }

  /**
   * Completes when all transactions have ended that may be writing to the table now, whatever others begin meanwhile.
   * Emits how many of them there still are. Errors with PostgreSQL's.
   */
  settled(): Observable<number> {
    return defer(() => this.writers()).pipe(
      expand(left =>
        left.length === 0
          ? EMPTY
          : timer(LOOK).pipe(
              switchMap(() => this.writers()),
              map(now => left.filter(id => now.includes(id))),
            ),
      ),
      map(({ length }) => length),
    )
  }

  /**
   * The next rows behind one, as many as fit; none when there are no more. Rejects with {@link RowTooLarge}.
   *
   * @param upTo an id that {@link last} has told, and after which it was {@link settled}
   */
  async page(after: string, upTo: string, { rows: most, bytes }: PageSize): Promise<SourceRow[]> {
    const values = [after, upTo, most, bytes]
    const { rows } = await this.pool.query<Row>(this.select, values)
    return rows.map(({ id, size, body }) => {
      if (body === null) throw new RowTooLarge(this.table.sql, String(id), size)
      return { id: String(id), body }
    })
  }

  /**
   * Virtual ids of the transactions that hold a lock with which one writes, on the table or what inherits from it. One
   * that is prepared for a two-phase commit keeps its id.
   */
  private async writers(): Promise<string[]> {
    const { rows } = await this.pool.query<{ id: string }>(WRITERS, [this.table.oid])
    return rows.map(({ id }) => id)
  }
}

interface Row {
  readonly id: string | number
  readonly size: number
  readonly body: string | null
}

const WRITERS = `
  WITH RECURSIVE tree AS (
    SELECT $1::oid AS oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
  )
  SELECT DISTINCT virtualtransaction AS id
  FROM pg_locks
  WHERE locktype = 'relation' AND granted AND relation IN (SELECT oid FROM tree)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`
