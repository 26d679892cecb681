import pg from 'pg'

// Rows into a table by `pg` alone: batches of 1000, one statement each. Arguments: URL, table, name, rows.
const [url, table, name, total] = process.argv.slice(2) as [string, string, string, string]
const SIZE = 1000

const client = new pg.Client({ connectionString: url })
await client.connect()
const insert = `
  INSERT INTO ${table} (stream, consumer_group, epoch, consumer, id, package, produced_at, payload, result)
  SELECT 'bench', 'bare', 'e', '${name}', id, package, to_timestamp(at), payload, result
  FROM json_to_recordset($1) AS row(id text, package bigint, at float8, payload jsonb, result jsonb)
  ON CONFLICT (id, epoch, stream, consumer_group) DO NOTHING`

process.send?.('ready')
process.once('message', async () => {
  for (let from = 1; from <= Number(total); from += SIZE) {
    const rows = Array.from({ length: SIZE }, (_, n) => ({
      id: `${1783728000000 + from + n}-${name}`,
      package: from + n,
      at: 1753553379,
      payload: { package: from + n },
    }))
    await client.query(insert, [JSON.stringify(rows)])
  }
  await client.end()
  process.disconnect()
})
