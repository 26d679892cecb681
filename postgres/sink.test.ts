import { readFile } from 'node:fs/promises'
import type { Finished, Message, Origin } from '@conveyor/stream'
import type { Pool } from 'pg'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { usePostgres, wireTo } from '../tests/postgres.ts'
import { newName, until } from '../tests/redis.ts'
import { migrate } from './migrate.ts'
import { openPool } from './pool.ts'
import { PostgresSink } from './sink.ts'

const on = usePostgres()
const origin: Origin = { stream: 'numbers', group: 'workers', epoch: 'e1', consumer: 'c1' }
const { signal } = new AbortController()

let pool: Pool
let schema: string
let failures: Error[]
let sink: PostgresSink

beforeEach(async () => {
  schema = newName()
  pool = openPool({ url: on.server.url, name: 'test', deadline: 5000 })
  onTestFinished(() => pool.end())
  await migrate(pool, schema)
  failures = []
  sink = new PostgresSink(pool, schema, error => failures.push(error))
})

function finished(n: number, payload: object = {}, result?: unknown, more: Partial<Message> = {}): Finished {
  const id = `1783728000000-${n}`
  const message = { entry: id, id, package: n, timestamp: 1753553379, payload: { package: n, ...payload } }
  return {
    message: { ...message, deliveries: 1, attempt: 1, replays: 0, failures: [], ...more },
    result,
  }
}

const rows = async () => (await pool.query(`SELECT * FROM ${schema}.messages ORDER BY package`)).rows

test('a package is a row, with what its handler returned', async () => {
  expect(await sink.store([finished(1), finished(2, { text: 'ü' }, { ok: true })], origin, signal)).toEqual(
    new Map(),
  )
  expect(await rows()).toMatchObject([
    {
      stream: 'numbers',
      consumer_group: 'workers',
      epoch: 'e1',
      id: '1783728000000-1',
      package: '1',
      consumer: 'c1',
      produced_at: new Date(1753553379_000),
      payload: { package: 1 },
      result: null,
    },
    { package: '2', payload: { package: 2, text: 'ü' }, result: { ok: true } },
  ])
})

test('what is stored again changes nothing, whoever brings it and however it is cut into batches', async () => {
  const all = Array.from({ length: 10 }, (_, n) => finished(n + 1))
  const again = finished(2, {}, 'later', { entry: '1783728000001-0', attempt: 2 })
  for (const [batch, consumer] of [
    [all.slice(0, 6), 'c1'],
    [all.slice(3), 'c2'],
    [[again], 'c1'],
  ] as const)
    expect(await sink.store(batch, { ...origin, consumer }, signal)).toEqual(new Map())
  expect((await rows()).map(row => [row.package, row.consumer, row.result])).toEqual(
    all.map((_, n) => [String(n + 1), n < 6 ? 'c1' : 'c2', null]),
  )
})

test('the same message twice in one batch is one row', async () => {
  await sink.store([finished(1), finished(1)], origin, signal)
  expect(await rows()).toHaveLength(1)
})

test('runs, groups and streams of one number are different messages', async () => {
  await sink.store([finished(1)], origin, signal)
  await sink.store([finished(1)], { ...origin, epoch: 'e2' }, signal)
  await sink.store([finished(1)], { ...origin, stream: 'other' }, signal)
  await sink.store([finished(1)], { ...origin, group: 'others' }, signal)
  expect(await rows()).toHaveLength(4)
})

test('rows that cannot be stored are refused, and the others of their batch are stored', async () => {
  const all = Array.from({ length: 100 }, (_, n) => finished(n + 1, n % 33 === 5 ? { text: 'a\u0000b' } : {}))
  const refused = await sink.store(all, origin, signal)
  expect([...refused.keys()]).toEqual([6, 39, 72].map(n => `1783728000000-${n}`))
  expect([...refused.values()][0]).toContain('unsupported Unicode escape sequence')
  expect(await rows()).toHaveLength(97)
  expect(failures.length).toBeGreaterThan(3)
})

test('what no JSON can hold is refused', async () => {
  const refused = await sink.store([finished(1, {}, 10n), finished(2)], origin, signal)
  expect([...refused]).toEqual([['1783728000000-1', expect.stringContaining('BigInt')]])
  expect(await rows()).toHaveLength(1)
})

test('a constraint that somebody has added refuses rows', async () => {
  await pool.query(`ALTER TABLE ${schema}.messages ADD CHECK (package <> 2)`)
  const refused = await sink.store([finished(1), finished(2), finished(3)], origin, signal)
  expect([...refused]).toEqual([['1783728000000-2', expect.stringContaining('violates check constraint')]])
})

test.each([
  ['the table is gone', () => `DROP TABLE ${schema}.messages`],
  ['the server may not write', () => `ALTER TABLE ${schema}.messages RENAME COLUMN payload TO other`],
])('nothing is refused when the rows are not to blame: %s', async (_, statement) => {
  await pool.query(statement())
  await expect(sink.store([finished(1), finished(2)], origin, signal)).rejects.toThrow('does not exist')
})

test('a connection that was ended is replaced by another', async () => {
  await sink.store([finished(1)], origin, signal)
  await on.server.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'`,
  )
  await until(
    () =>
      sink.store([finished(2)], origin, signal).then(
        () => true,
        () => false,
      ),
    'the second package is stored',
  )
  expect(await rows()).toHaveLength(2)
})

test('processes that start at the same time apply each step once', async () => {
  const other = newName()
  const pools = Array.from({ length: 5 }, () => openPool({ url: on.server.url, name: 'm', deadline: 5000 }))
  await Promise.all(pools.map(one => migrate(one, other)))
  await Promise.all(pools.map(one => one.end()))
  const { rows: steps } = await pool.query(`SELECT step FROM ${other}.migrations`)
  expect(steps.map(({ step }) => step)).toContain(1)
})

test('an answer that was lost after the rows were stored: storing them again changes nothing', async () => {
  const wire = await wireTo(on.server)
  const through = openPool({ url: wire.url, name: 'lossy', deadline: 5000 })
  onTestFinished(() => through.end())
  const lossy = new PostgresSink(through, schema)
  const lost = wire.loseAnswerTo('INSERT INTO')
  await expect(lossy.store([finished(1), finished(2)], origin, signal)).rejects.toThrow()
  await lost
  await until(async () => (await rows()).length === 2, 'the rows are there all the same')
  expect(await lossy.store([finished(1), finished(2)], origin, signal)).toEqual(new Map())
  expect(await rows()).toHaveLength(2)
})

test('a server that stands still is given up after the deadline', async () => {
  const hasty = openPool({ url: on.server.url, name: 'hasty', deadline: 300 })
  onTestFinished(() => hasty.end())
  const waiting = new PostgresSink(hasty, schema)
  await waiting.store([finished(1)], origin, signal)
  on.server.pause()
  try {
    await expect(waiting.store([finished(2)], origin, signal)).rejects.toThrow('timeout')
  } finally {
    on.server.resume()
  }
  await waiting.store([finished(2)], origin, signal)
  expect(await rows()).toHaveLength(2)
})

test('whatever a payload has in it stays a text', async () => {
  const texts = [
    "a'; DROP TABLE messages; --",
    'a\\',
    '$$',
    '$q$',
    "E'\\x41'",
    'ä\u2028\ud83d\ude00',
    '"',
    '\n',
  ]
  expect(await sink.store([finished(1, { texts }, texts)], origin, signal)).toEqual(new Map())
  expect(await rows()).toMatchObject([{ payload: { texts }, result: texts }])
})

test("the trigger of the documentation fills a table of one's own, each order once", async () => {
  const docs = await readFile(new URL('../docs/sources-and-sinks.md', import.meta.url), 'utf8')
  const example = /```sql\n([\s\S]*?)```/.exec(docs)?.[1] as string
  await pool.query(`SET search_path TO ${schema}; ${example.replace('conveyor.', '')}`)
  const order = (n: number) => finished(n, { body: { product: `p${n}`, price: n + 0.5 } })
  await sink.store([order(1), order(2)], origin, signal)
  await sink.store([order(2), order(3)], origin, signal)
  const { rows: orders } = await pool.query(`SELECT product, price FROM ${schema}.orders ORDER BY product`)
  expect(orders).toEqual([1, 2, 3].map(n => ({ product: `p${n}`, price: `${n}.5` })))
})
