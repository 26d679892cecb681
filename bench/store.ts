import { once } from 'node:events'
import { PostgresMissing, PostgresServer } from '@conveyor/chaos'
import { migrate, openPool } from '@conveyor/postgres'
import { type Bench, type Contender, inTurn, type Part } from './bench.ts'
import { end, script, whileAlive } from './processes.ts'
import { spread } from './statistics.ts'
import { type Measured, ratios, type Table } from './table.ts'
import { consumeRound, fill } from './throughput.ts'

const ID = 'postgres'
const TITLE = 'PostgreSQL: rows stored'

/** Packages of a stream as rows, beside rows that `pg` inserts without a stream; one and three connections. */
export const store: Part = async bench => {
  const server = await PostgresServer.start().catch((error: unknown) => {
    if (error instanceof PostgresMissing) return error.message
    throw error
  })
  if (typeof server === 'string') {
    const notes = [`Left out: ${server}`]
    return [{ id: ID, title: TITLE, head: ['', 'rows per second', 'ratio'], rows: [], notes, figures: [] }]
  }
  try {
    return [await measured(bench, server)]
  } finally {
    await server.stop()
  }
}

async function measured(bench: Bench, server: PostgresServer): Promise<Table> {
  const total = bench.quick ? 30_000 : 600_000
  const stream = 'bench_store'
  await fill(bench.url, stream, total)
  const contender = (name: string, run: (schema: string, round: string) => Promise<number>): Contender => ({
    name,
    run: round => inSchema(server, round, schema => run(schema, round)),
  })
  const rates = await inTurn(
    bench,
    'PostgreSQL',
    [1, 3].flatMap(count => [
      contender(`bare pg, list of values, ${many(count, 'connection')}`, schema =>
        bare(server, schema, total, count, 'values'),
      ),
      contender(`bare pg, one JSON text, ${many(count, 'connection')}`, schema =>
        bare(server, schema, total, count, 'json'),
      ),
      contender(`Conveyor, ${many(count, 'consumer')}`, (schema, round) => {
        const env = { OUTPUT: 'postgres', DATABASE_URL: server.url, DATABASE_SCHEMA: schema }
        return consumeRound(bench.redis, bench.url, round, total, { stream, count, env }, bench.outputDir)
      }),
    ]),
  )
  await bench.redis.unlink(stream)
  const ratio = (one: Measured, other: Measured | undefined) =>
    other === undefined || one === other ? '' : spread(ratios(one, other), 2)
  return {
    id: ID,
    title: TITLE,
    head: ['', 'rows per second', 'ratio to a list of values', 'ratio to one JSON text'],
    rows: rates.map((one, n) => {
      const first = n - (n % 3)
      return [one.name, spread([...one.values]), ratio(one, rates[first]), ratio(one, rates[first + 1])]
    }),
    notes: [
      `${total.toLocaleString('en-US')} rows; PostgreSQL on the same cores, as it is installed: fsync and synchronous_commit on.`,
    ],
    figures: rates.map(({ name, values }) => ({ name, perSecond: values.map(Math.round) })),
  }
}

const many = (count: number, what: string) => `${count} ${what}${count > 1 ? 's' : ''}`

/** Runs something with tables of its own, which are dropped afterwards. */
async function inSchema<T>(
  server: PostgresServer,
  round: string,
  run: (schema: string) => Promise<T>,
): Promise<T> {
  const schema = `round_${round}`
  const pool = openPool({ url: server.url, name: 'bench', deadline: 60_000 })
  try {
    await migrate(pool, schema)
    await pool.query('CHECKPOINT') // what the round before has left to do is not this one's
    return await run(schema)
  } finally {
    await pool.query(`DROP SCHEMA "${schema}" CASCADE`)
    await pool.end()
  }
}

/** Rows per second of some processes that insert at the same time. */
async function bare(
  server: PostgresServer,
  schema: string,
  total: number,
  count: number,
  how: 'values' | 'json',
): Promise<number> {
  const share = String(Math.ceil(total / count / 1000) * 1000)
  const children = Array.from({ length: count }, (_, n) =>
    script('bare-store', [server.url, `"${schema}".messages`, `c${n}`, share, how]),
  )
  try {
    await whileAlive(children, Promise.all(children.map(child => once(child, 'message'))))
    const started = performance.now()
    for (const child of children) child.send('go')
    await Promise.all(children.map(child => once(child, 'exit')))
    return (Number(share) * count) / ((performance.now() - started) / 1000)
  } finally {
    await end(children, 'SIGKILL')
  }
}
