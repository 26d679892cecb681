import { once } from 'node:events'
import { PostgresMissing, PostgresServer } from '@conveyor/chaos'
import { migrate, openPool } from '@conveyor/postgres'
import { type Bench, type Contender, inTurn, type Part } from './bench.ts'
import { end, script, whileAlive } from './processes.ts'
import { rateTable, type Table } from './table.ts'
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
  const rates = await inTurn(bench, 'PostgreSQL', [
    ...[1, 3].flatMap((count): Contender[] => [
      {
        name: `bare pg, ${connections(count)}`,
        run: round => inSchema(server, round, schema => bare(server, schema, total, count)),
      },
      {
        name: `Conveyor, ${connections(count, 'consumer')}`,
        run: round =>
          inSchema(server, round, schema => {
            const env = { OUTPUT: 'postgres', DATABASE_URL: server.url, DATABASE_SCHEMA: schema }
            return consumeRound(bench.redis, bench.url, round, total, { stream, count, env }, bench.outputDir)
          }),
      },
    ]),
  ])
  await bench.redis.unlink(stream)
  const notes = [
    `${total.toLocaleString('en-US')} rows, PostgreSQL on the same cores, as it is installed: fsync and synchronous_commit on. Bare: batches of 1,000, each one INSERT … ON CONFLICT DO NOTHING into the same table.`,
  ]
  const [one, ours, three, oursOfThree] = rates as [Rates, Rates, Rates, Rates]
  const [first, second] = [
    rateTable({ id: ID, title: TITLE }, [one, ours]),
    rateTable({ id: ID, title: TITLE }, [three, oursOfThree]),
  ]
  return {
    ...first,
    head: ['', 'rows per second', 'ratio'],
    rows: [...first.rows, ...second.rows],
    notes,
    figures: [first.figures, second.figures].flat(),
  }
}

type Rates = Awaited<ReturnType<typeof inTurn>>[number]

const connections = (count: number, what = 'connection') => `${count} ${what}${count > 1 ? 's' : ''}`

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
async function bare(server: PostgresServer, schema: string, total: number, count: number): Promise<number> {
  const share = String(Math.ceil(total / count / 1000) * 1000)
  const children = Array.from({ length: count }, (_, n) =>
    script('bare-store', [server.url, `"${schema}".messages`, `c${n}`, share]),
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
