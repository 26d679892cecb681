import { ConfigError } from '@conveyor/service'
import type { Pool } from 'pg'

/** A table's name, as it is written in the database: nothing is folded to lower case. */
export interface TableName {
  readonly schema: string
  readonly table: string
}

/** A table whose rows can be read in the order of their ids. */
export interface FoundTable {
  readonly oid: string
  /** Schema and table as SQL takes them, quoted where need be. */
  readonly sql: string
  /** Whether it has a column named `source`. */
  readonly hasSource: boolean
}

interface Description {
  readonly oid: string
  readonly sql: string
  readonly kind: string
  readonly persistence: string
  readonly type: string | null
  readonly not_null: boolean | null
  readonly is_unique: boolean
  readonly cache: string | null
  readonly increment: string | null
  readonly cycle: boolean | null
  readonly readable: boolean
  readonly hidden: boolean
  readonly standby: boolean
  readonly has_source: boolean
}

const DESCRIBE = `
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS sql, c.relkind AS kind, c.relpersistence AS persistence,
         a.atttypid::regtype::text AS type, a.attnotnull AS not_null,
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
                   AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum AND i.indpred IS NULL) AS is_unique,
         s.seqcache AS cache, s.seqincrement AS increment, s.seqcycle AS cycle,
         has_table_privilege(c.oid, 'SELECT') AS readable, row_security_active(c.oid) AS hidden,
         pg_is_in_recovery() AS standby,
         EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attname = 'source'
                   AND NOT o.attisdropped) AS has_source
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id' AND NOT a.attisdropped
  LEFT JOIN pg_sequence s ON s.seqrelid = CASE WHEN a.attname IS NOT NULL
    THEN pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), 'id')::regclass END
  WHERE n.nspname = $1 AND c.relname = $2`

/**
 * Finds a table, and makes sure of what can be seen of that on which reading it in order rests. Throws `ConfigError`,
 * whose message is one line; rejects with PostgreSQL's error.
 */
export async function findTable(pool: Pool, { schema, table }: TableName): Promise<FoundTable> {
  const { rows } = await pool.query<Description>(DESCRIBE, [schema, table])
  const [found] = rows
  const fault = found ? faultOf(found) : 'there is no such table'
  if (fault) throw new ConfigError(`table ${schema}.${table}: ${fault}`)
  const { oid, sql, has_source } = found as Description
  return { oid, sql, hasSource: has_source }
}

function faultOf(table: Description): string | undefined {
  if (table.kind !== 'r' && table.kind !== 'p') return 'a table is allowed, and no view'
  // Their ids begin anew after a crash.
  if (table.persistence !== 'p') return 'a table that is UNLOGGED or TEMPORARY is not allowed'
  if (!/^(smallint|integer|bigint)$/.test(table.type ?? ''))
    return `a column id of type smallint, integer or bigint is needed${table.type ? `, not of type ${table.type}` : ''}`
  if (!table.not_null || !table.is_unique)
    return 'its column id must be a primary key, or unique and NOT NULL'
  if (table.cache !== null && table.cache !== '1')
    return `the sequence of its column id has CACHE ${table.cache}: only CACHE 1 gives ids out in order`
  if (table.increment?.startsWith('-') || table.cycle)
    return 'the sequence of its column id must grow, and not CYCLE'
  if (!table.readable) return 'the user of DATABASE_URL may not SELECT from it'
  if (table.hidden) return 'row security hides rows of it from the user of DATABASE_URL'
  // Who is writing is known to the server only that is written to.
  if (table.standby) return 'DATABASE_URL leads to a standby, and not to the server that is written to'
  return undefined
}
