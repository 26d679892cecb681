import type { Pool } from 'pg'
import type { FoundTable } from './find-table.ts'

export interface Samples {
  /** How many; 1 to {@link MOST_SAMPLES}. */
  readonly count: number
  /** Part of them that pass their security check, 0 to 1; rounded to whole orders. */
  readonly share: number
  /** The same seed gives the same orders; 0 to 2^32 - 1. */
  readonly seed: number
}

/** What was added. */
export interface Added {
  readonly count: number
  /** How many of them pass their security check. */
  readonly passing: number
  /** Ids of the first and the last of them. */
  readonly first: string
  readonly last: string
}

/** Orders that are added at once. */
export const MOST_SAMPLES = 100_000

/** Adds orders to a table with the columns product, price and security_check, in one statement: all of them or none. */
export async function addSampleOrders(
  pool: Pool,
  table: FoundTable,
  { count, share, seed }: Samples,
): Promise<Added> {
  const { rows } = await pool.query<Added>(
    `WITH chances AS (
       SELECT n, ('x' || substr(md5, 1, 8))::bit(32)::bigint AS a, ('x' || substr(md5, 9, 8))::bit(32)::bigint AS b,
              row_number() OVER (ORDER BY md5) AS place
       FROM (SELECT n, md5($2::text || ' ' || n) AS md5 FROM generate_series(1, $1::int) AS n) AS hashes
     ), added AS (
       INSERT INTO ${table.sql} (product, price, security_check)
       SELECT (ARRAY['lamp', 'chair', 'desk', 'shelf', 'carpet', 'mirror', 'sofa', 'clock'])[1 + a % 8],
              (100 + b % 99900) / 100.0, place <= round($1::int * $3::float8)
       FROM chances ORDER BY n
       RETURNING id, security_check
     )
     SELECT count(*)::int AS count, (count(*) FILTER (WHERE security_check))::int AS passing,
            min(id)::text AS first, max(id)::text AS last
     FROM added`,
    [count, seed, share],
  )
  return rows[0] as Added
}
