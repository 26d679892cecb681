import { once } from 'node:events'
import { connect } from 'node:net'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../free-port.ts'
import { Gateway } from './gateway.ts'

let db: PGlite
let gateway: Gateway
let url: string

beforeAll(async () => {
  db = await PGlite.create()
  gateway = new Gateway(db)
  const port = await freePort()
  await gateway.listen(port)
  url = `postgres://postgres@127.0.0.1:${port}/postgres`
})
afterAll(async () => {
  gateway.close()
  await db.close()
})

async function client(): Promise<pg.Client> {
  const opened = new pg.Client(url)
  opened.on('error', () => {})
  await opened.connect()
  onTestFinished(() => opened.end().catch(() => {}))
  return opened
}

test('statements with parameters of many clients at once are never mixed', async () => {
  const clients = await Promise.all(Array.from({ length: 8 }, client))
  await Promise.all(
    clients.map(async (one, c) => {
      for (let n = 0; n < 50; n++) {
        const { rows } = await one.query(`SELECT $1::int AS client, $2::int AS number, ${c} AS own`, [c, n])
        expect(rows).toEqual([{ client: c, number: n, own: c }])
      }
    }),
  )
})

test('an error is the answer to what caused it, and the next statement has its own', async () => {
  const [one, other] = await Promise.all([client(), client()])
  const failing = async () => {
    for (let n = 0; n < 20; n++) {
      const answer = one.query('SELECT 1 / $1::int AS x', [n % 2])
      if (n % 2 === 0) await expect(answer).rejects.toThrow('division by zero')
      else expect((await answer).rows).toEqual([{ x: 1 }])
    }
  }
  const fine = async () => {
    for (let n = 0; n < 20; n++) expect((await other.query('SELECT $1::int AS n', [n])).rows).toEqual([{ n }])
  }
  await Promise.all([failing(), fine()])
})

test('a transaction is alone, and one that is left open by a client that is gone is rolled back', async () => {
  const [one, other] = await Promise.all([client(), client()])
  await one.query('CREATE TABLE t (n int)')
  await one.query('BEGIN')
  await one.query('INSERT INTO t VALUES ($1)', [1])
  const counted = other.query('SELECT count(*)::int AS n FROM t')
  await one.query('INSERT INTO t VALUES ($1)', [2])
  await one.query('COMMIT')
  expect((await counted).rows).toEqual([{ n: 2 }])

  await one.query('BEGIN')
  await one.query('INSERT INTO t VALUES (3)')
  const again = other.query('SELECT count(*)::int AS n FROM t')
  await one.end()
  expect((await again).rows).toEqual([{ n: 2 }])
})

test('a timeout of statements is taken', async () => {
  const one = new pg.Client({ connectionString: url, statement_timeout: 5000 })
  await one.connect()
  onTestFinished(() => one.end())
  expect((await one.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }])
})

test('a statement of a megabyte, in many pieces', async () => {
  const one = await client()
  const text = 'ä'.repeat(600_000)
  expect((await one.query('SELECT length($1) AS n', [text])).rows).toEqual([{ n: 600_000 }])
})

test('what is no protocol of PostgreSQL ends its own connection and nothing else', async () => {
  for (const bytes of [
    Buffer.alloc(8),
    Buffer.from([0, 0, 0, 5, 1, 2, 3, 4]),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ]) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {})
    socket.end(bytes)
    await once(socket, 'close')
  }
  expect((await (await client()).query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }])
})

test('a transaction that does nothing and keeps others waiting is ended after a while', async () => {
  const [idle, other] = await Promise.all([client(), client()])
  await idle.query('BEGIN')
  await idle.query('CREATE TABLE never (n int)')
  expect((await other.query("SELECT to_regclass('never') AS t")).rows).toEqual([{ t: null }])
  await expect(idle.query('SELECT 1')).rejects.toThrow()
})
