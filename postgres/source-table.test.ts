import { PostgresServer } from '@conveyor/chaos'
import { SOURCE_CALL, type SourceRow } from '@conveyor/stream'
import pg from 'pg'
import { lastValueFrom, tap, toArray } from 'rxjs'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { usePostgres } from '../tests/postgres.ts'
import { newName, until } from '../tests/redis.ts'
import { findTable } from './find-table.ts'
import { migrate } from './migrate.ts'
import { openPool } from './pool.ts'
import { addSampleOrders } from './sample-orders.ts'
import { RowTooLarge, SourceTable } from './source-table.ts'

const on = usePostgres()
const PAGE = { rows: SOURCE_CALL.rows, bytes: SOURCE_CALL.size }
const ORDERS = 'id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text'

let pool: pg.Pool
let schema: string
beforeEach(async () => {
  schema = newName()
  pool = openPool({ url: on.server.url, name: 'test', deadline: 20_000, connections: 4 })
  onTestFinished(() => pool.end())
  await pool.query(`CREATE SCHEMA ${schema}`)
})

/** Makes a table and opens it as a source. */
async function table(columns: string, name = 'orders'): Promise<SourceTable> {
  await pool.query(`CREATE TABLE ${schema}."${name}" (${columns})`)
  return new SourceTable(pool, await findTable(pool, { schema, table: name }), 'system-1')
}

/** A connection of somebody who writes. */
async function writer(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: on.server.url })
  client.on('error', () => {})
  await client.connect()
  await client.query(`SET search_path TO ${schema}`)
  onTestFinished(() => client.end().catch(() => {}))
  return client
}

/** Reads on from a row as a source does; returns what came. `left` hears of transactions that it waits for. */
async function readOn(orders: SourceTable, after: string, left = (_: number) => {}): Promise<SourceRow[]> {
  const upTo = await orders.last()
  await lastValueFrom(orders.settled().pipe(tap(left)))
  const all: SourceRow[] = []
  for (;;) {
    const page = await orders.page(all.at(-1)?.id ?? after, upTo, PAGE)
    if (page.length === 0) return all
    all.push(...page)
  }
}

const ids = (rows: SourceRow[]) => rows.map(({ id }) => Number(id))
const insert = (text: string) => `INSERT INTO orders (text) VALUES ('${text}')`

test('a transaction that commits late leaves nothing behind', async () => {
  const orders = await table(ORDERS)
  const [late, other] = [await writer(), await writer()]
  await late.query('BEGIN')
  await late.query(insert('late'))
  await other.query(insert('early'))
  let [waited, read] = [0, undefined as SourceRow[] | undefined]
  const reading = readOn(orders, '0', left => {
    waited += left
  }).then(rows => {
    read = rows
  })
  await until(() => waited > 0 || read, 'it looks who writes')
  await other.query(insert('later, and not of this reading'))
  expect(read).toBeUndefined()
  await late.query('COMMIT')
  await reading
  expect(ids(read ?? [])).toEqual([1, 2])
  expect(ids(await readOn(orders, '2'))).toEqual([3])
})

test('those that begin to write meanwhile are not waited for', async () => {
  const orders = await table(ORDERS)
  const [first, second] = [await writer(), await writer()]
  await first.query('BEGIN')
  await first.query(insert('first'))
  const seen: number[] = []
  const subscription = orders.settled().subscribe(left => seen.push(left))
  onTestFinished(() => subscription.unsubscribe())
  await until(() => seen.length > 0, 'it looks who writes')
  await second.query('BEGIN')
  await second.query(insert('second'))
  await first.query('COMMIT')
  await until(() => subscription.closed, 'it has settled')
  expect([seen[0], seen.at(-1)]).toEqual([1, 0])
  await second.query('ROLLBACK')
})

test('one that is prepared for a two-phase commit while it is waited for is waited for on', async () => {
  const server = await PostgresServer.start('max_prepared_transactions=5')
  onTestFinished(() => server.stop())
  const own = openPool({ url: server.url, name: 'test', deadline: 20_000 })
  onTestFinished(() => own.end())
  await own.query(`CREATE TABLE orders (${ORDERS})`)
  const found = await findTable(own, { schema: 'public', table: 'orders' })
  const orders = new SourceTable(own, found, 's')
  const first = new pg.Client({ connectionString: server.url })
  await first.connect()
  onTestFinished(() => first.end())
  await first.query('BEGIN')
  await first.query(insert('first'))
  const seen: number[] = []
  const subscription = orders.settled().subscribe(left => seen.push(left))
  onTestFinished(() => subscription.unsubscribe())
  await until(() => seen.length > 0, 'it looks who writes')
  await first.query("PREPARE TRANSACTION 'p'")
  const looks = seen.length
  await until(() => seen.length > looks + 2 || subscription.closed, 'it has looked again')
  expect(subscription.closed).toBe(false)
  await first.query("COMMIT PREPARED 'p'")
  await until(() => subscription.closed, 'it has settled')
})

test('one that only reads is not waited for, and none of another table', async () => {
  const orders = await table(ORDERS)
  await table(ORDERS, 'others')
  const [reader, elsewhere] = [await writer(), await writer()]
  await reader.query('BEGIN')
  await reader.query('SELECT FROM orders FOR SHARE')
  await elsewhere.query('BEGIN')
  await elsewhere.query('INSERT INTO others DEFAULT VALUES')
  expect(await lastValueFrom(orders.settled().pipe(toArray()))).toEqual([0])
})

test('a partition that is written to directly is waited for', async () => {
  await pool.query(`CREATE SEQUENCE ${schema}.ids;
    CREATE TABLE ${schema}.parts (id bigint DEFAULT nextval('${schema}.ids') PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE ${schema}.part_1 PARTITION OF ${schema}.parts FOR VALUES FROM (0) TO (100)`)
  const parts = new SourceTable(pool, await findTable(pool, { schema, table: 'parts' }), 's')
  const direct = await writer()
  await direct.query('BEGIN')
  await direct.query('INSERT INTO part_1 DEFAULT VALUES')
  const seen: number[] = []
  const subscription = parts.settled().subscribe(left => seen.push(left))
  onTestFinished(() => subscription.unsubscribe())
  await until(() => seen.length > 1, 'it waits')
  expect(subscription.closed).toBe(false)
  await direct.query('COMMIT')
  await until(() => subscription.closed, 'it has settled')
})

test('many write at once, commit and roll back, and nothing is left out', async () => {
  const orders = await table(ORDERS)
  const writing = new AbortController()
  const writers = Array.from({ length: 8 }, async (_, n) => {
    const client = await writer()
    for (let i = 0; !writing.signal.aborted; i++) {
      await client.query('BEGIN')
      for (let k = 0; k <= (i * 7 + n) % 4; k++) await client.query(insert(`${n} ${i} ${k}`))
      if ((i + n) % 3 === 0) await client.query('SELECT pg_sleep(0.005)')
      await client.query((i * 5 + n) % 4 === 0 ? 'ROLLBACK' : 'COMMIT')
    }
  })
  const read: number[] = []
  let readings = 0
  const more = async () => {
    read.push(...ids(await readOn(orders, String(read.at(-1) ?? 0))))
    readings++
  }
  while (read.length < 2000) await more()
  writing.abort()
  await Promise.all(writers)
  await more()
  const { rows } = await pool.query<{ id: string }>(`SELECT id FROM ${schema}.orders ORDER BY id`)
  expect(read).toEqual(rows.map(({ id }) => Number(id)))
  expect(readings).toBeGreaterThan(5)
}, 60_000)

test('rows are JSON as PostgreSQL writes it, with the columns in their order and no number rounded', async () => {
  const exact = '12345678901234567890.1234567890'
  const orders = await table(`z int, ${ORDERS}, price numeric, data jsonb, r text, at timestamptz`)
  await pool.query(
    `INSERT INTO ${schema}.orders (z, text, price, data, at)
     VALUES (1, 'grüße "🚚"', ${exact}, '{"n": 9007199254740993}', 'infinity')`,
  )
  expect(await readOn(orders, '0')).toEqual([
    {
      id: '1',
      body: `{"source":"system-1","z":1,"id":1,"text":"grüße \\"🚚\\"","price":${exact},"data":{"n": 9007199254740993},"r":null,"at":"infinity"}`,
    },
  ])
})

test('a column named source comes before the name of the source', async () => {
  const orders = await table('id int PRIMARY KEY, source text')
  await pool.query(`INSERT INTO ${schema}.orders VALUES (1, 'web')`)
  expect((await readOn(orders, '0'))[0]?.body).toBe('{"id":1,"source":"web"}')
})

test('JSON is made of no more rows than are asked for, also by a plan that sorts', async () => {
  await pool.query(`
    CREATE TYPE ${schema}.fragile AS ENUM ('x');
    CREATE FUNCTION ${schema}.break(${schema}.fragile) RETURNS json LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'JSON was made of it'; END $$;
    CREATE CAST (${schema}.fragile AS json) WITH FUNCTION ${schema}.break`)
  await table(`id int PRIMARY KEY, value ${schema}.fragile`)
  await pool.query(`INSERT INTO ${schema}.orders VALUES (2, 'x'), (1, NULL)`)
  const options = encodeURIComponent('-c enable_indexscan=off')
  const sorting = openPool({ url: `${on.server.url}?options=${options}`, name: 'test', deadline: 20_000 })
  onTestFinished(() => sorting.end())
  const orders = new SourceTable(sorting, await findTable(sorting, { schema, table: 'orders' }), 's')
  expect(ids(await orders.page('0', '2', { rows: 1, bytes: 1000 }))).toEqual([1])
  await expect(orders.page('0', '2', { rows: 2, bytes: 1000 })).rejects.toThrow('JSON was made of it')
})

test('a page ends where it is full; a row alone may be larger, and not larger than a message', async () => {
  const orders = await table('id int PRIMARY KEY, text text')
  await pool.query(
    `INSERT INTO ${schema}.orders SELECT n, repeat('x', CASE n WHEN 5 THEN 5000 ELSE 400 END) FROM generate_series(1, 9) n`,
  )
  const sizes: number[][] = []
  for (let after = '0'; ; ) {
    const page = await orders.page(after, '9', { rows: 3, bytes: 1000 })
    if (page.length === 0) break
    sizes.push(ids(page))
    after = page.at(-1)?.id as string
  }
  expect(sizes).toEqual([[1, 2], [3, 4], [5], [6, 7], [8, 9]])
  expect(ids(await orders.page('5', '7', PAGE))).toEqual([6, 7])
  await pool.query(`INSERT INTO ${schema}.orders VALUES (10, repeat('x', 70000000))`)
  await expect(orders.page('9', '10', PAGE)).rejects.toBeInstanceOf(RowTooLarge)
  expect(ids(await orders.page('8', '10', { rows: 3, bytes: 1000 }))).toEqual([9])
})

test('empty tables, and ids that no message has', async () => {
  const orders = await table('id int PRIMARY KEY')
  expect([await orders.last(), await orders.countAfter('0')]).toEqual(['0', 0])
  await pool.query(`INSERT INTO ${schema}.orders VALUES (-3), (0)`)
  expect(await orders.last()).toBe('0')
  await pool.query(`INSERT INTO ${schema}.orders VALUES (7)`)
  expect([await orders.last(), await orders.countAfter('0'), await orders.countAfter('7')]).toEqual([
    '7',
    1,
    0,
  ])
})

describe('a table that cannot be read in order is refused, in one line', () => {
  test.each([
    ['name text', 'a column id of type smallint, integer or bigint is needed'],
    ['id uuid PRIMARY KEY', 'is needed, not of type uuid'],
    ['id bigint', 'must be a primary key, or unique and NOT NULL'],
    ['id bigint UNIQUE', 'must be a primary key, or unique and NOT NULL'],
    ['id bigint, n int, PRIMARY KEY (id, n)', 'must be a primary key, or unique and NOT NULL'],
    ['id bigint GENERATED ALWAYS AS IDENTITY (CACHE 10) PRIMARY KEY', 'CACHE 10: only CACHE 1'],
    ['id int GENERATED ALWAYS AS IDENTITY (INCREMENT -1) PRIMARY KEY', 'must grow, and not CYCLE'],
    ['id int GENERATED ALWAYS AS IDENTITY (CYCLE) PRIMARY KEY', 'must grow, and not CYCLE'],
  ])('%s', async (columns, text) => {
    const error = await table(columns).catch(found => found)
    expect(error).toMatchObject({ name: 'ConfigError' })
    expect(error.message).toMatch(new RegExp(`^table ${schema}\\.orders: [^\\n]*$`))
    expect(error.message).toContain(text)
  })

  test('none at all, a view, one that a crash empties, one whose rows are hidden, one that may not be read', async () => {
    const find = (name: string, from = pool) => findTable(from, { schema, table: name })
    await pool.query(`CREATE VIEW ${schema}.seen AS SELECT 1 AS id;
      CREATE UNLOGGED TABLE ${schema}.light (id int PRIMARY KEY);
      CREATE TABLE ${schema}.hidden (id int PRIMARY KEY);
      ALTER TABLE ${schema}.hidden ENABLE ROW LEVEL SECURITY;
      CREATE TABLE ${schema}.closed (id int PRIMARY KEY);
      CREATE ROLE ${schema}_reader LOGIN;
      GRANT USAGE ON SCHEMA ${schema} TO ${schema}_reader; GRANT SELECT ON ${schema}.hidden TO ${schema}_reader`)
    await expect(find('missing')).rejects.toThrow('there is no such table')
    await expect(find(`orders"; DROP TABLE ${schema}.light; --`)).rejects.toThrow('there is no such table')
    await expect(find('seen')).rejects.toThrow('a table is allowed, and no view')
    await expect(find('light')).rejects.toThrow('UNLOGGED')
    const url = on.server.url.replace('postgres@', `${schema}_reader@`)
    const reader = openPool({ url, name: 'test', deadline: 5000 })
    onTestFinished(() => reader.end())
    await expect(find('hidden', reader)).rejects.toThrow('row security hides rows')
    await expect(find('closed', reader)).rejects.toThrow('may not SELECT')
  })

  test('a name with capitals, blanks and quotes is taken as it is', async () => {
    await pool.query(`CREATE TABLE ${schema}."My ""orders""" (id int PRIMARY KEY)`)
    await pool.query(`INSERT INTO ${schema}."My ""orders""" VALUES (1)`)
    const found = new SourceTable(pool, await findTable(pool, { schema, table: 'My "orders"' }), 's')
    expect(ids(await readOn(found, '0'))).toEqual([1])
  })
})

test('sample orders: so many, of which so many pass, alike for the same seed', async () => {
  await migrate(pool, schema)
  const tables = await Promise.all(
    ['system_1_orders', 'system_2_orders'].map(name => findTable(pool, { schema, table: name })),
  )
  const add = (n: number, seed: number) =>
    addSampleOrders(pool, tables[n] as (typeof tables)[number], { count: 1000, share: 0.7, seed })
  expect(await add(0, 5)).toEqual({ count: 1000, passing: 700, first: '1', last: '1000' })
  expect(await add(1, 5)).toMatchObject({ passing: 700 })
  expect(await add(1, 6)).toMatchObject({ first: '1001', last: '2000' })
  const columns = 'product, price, security_check'
  const rows = async (name: string, from: number) =>
    (
      await pool.query(`SELECT ${columns} FROM ${schema}.${name} WHERE id > $1 ORDER BY id LIMIT 1000`, [
        from,
      ])
    ).rows
  expect(await rows('system_2_orders', 0)).toEqual(await rows('system_1_orders', 0))
  expect(await rows('system_2_orders', 1000)).not.toEqual(await rows('system_1_orders', 0))
})
