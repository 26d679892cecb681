import pg from 'pg'

// Rows into a table by `pg` alone: batches of 1000, one statement each, as a list of values with a parameter for each, or
// as one JSON text that PostgreSQL takes apart. Arguments: URL, table, name, rows, values or json.
const [url, table, name, total, how] = process.argv.slice(2) as [string, string, string, string, string]
const SIZE = 1000

interface Row {
  readonly id: string
  readonly package: number
  readonly at: number
  readonly payload: object
}

const client = new pg.Client({ connectionString: url })
await client.connect()
const columns = 'stream, consumer_group, epoch, consumer, id, package, produced_at, payload'
const fixed = `'bench', 'bare', 'e', '${name}'`
const once = 'ON CONFLICT (id, epoch, stream, consumer_group) DO NOTHING'
const list = Array.from({ length: SIZE }, (_, n) => {
  const [id, number, at, payload] = [1, 2, 3, 4].map(column => `$${4 * n + column}`)
  return `(${fixed}, ${id}, ${number}, to_timestamp(${at}), ${payload})`
})
const byValues = `INSERT INTO ${table} (${columns}) VALUES ${list.join()} ${once}`
const byJson = `
  INSERT INTO ${table} (${columns}) SELECT ${fixed}, id, package, to_timestamp(at), payload
  FROM json_to_recordset($1) AS row(id text, package bigint, at float8, payload jsonb) ${once}`

function insert(rows: readonly Row[]): Promise<unknown> {
  if (how === 'json') return client.query(byJson, [JSON.stringify(rows)])
  const values = rows.flatMap(row => [row.id, row.package, row.at, JSON.stringify(row.payload)])
  return client.query(byValues, values)
}

process.send?.('ready')
process.once('message', async () => {
  for (let from = 1; from <= Number(total); from += SIZE) {
    const rows = Array.from({ length: SIZE }, (_, n) => ({
      id: `${1783728000000 + from + n}-${name}`,
      package: from + n,
      at: 1753553379,
      payload: { package: from + n },
    }))
    await insert(rows)
  }
  await client.end()
  process.disconnect()
})
