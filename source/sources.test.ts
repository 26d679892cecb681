import { createLog } from '@conveyor/service'
import type { Hono } from 'hono'
import pg from 'pg'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { usePostgres } from '../tests/postgres.ts'
import { newName, ownRedis, until, useRedis } from '../tests/redis.ts'
import { sourcesApi } from './api.ts'
import { sourceConfig } from './config.ts'
import { Sources } from './sources.ts'
import type { RunView, SourceView } from './views.ts'

const redis = useRedis()
const on = usePostgres()

let schema: string
beforeEach(() => {
  schema = newName()
})

/** The service without its process. */
async function start(env: NodeJS.ProcessEnv = {}) {
  const config = sourceConfig({
    REDIS_URL: redis.server.url,
    STREAM: newName(),
    DATABASE_URL: on.server.url,
    DATABASE_SCHEMA: schema,
    ...env,
  })
  const log = createLog('test', 'silent')
  const sources = new Sources(config, log)
  const stop = new AbortController()
  const ended = sources.run(stop.signal)
  ended.catch(() => {})
  let closing: Promise<void> | undefined
  const close = () => (closing ??= sources.close())
  onTestFinished(async () => {
    stop.abort()
    await ended.catch(() => {})
    await close()
  })
  const api = sourcesApi(sources, config, log)
  await Promise.race([ended, until(() => sources.notReady === undefined, 'ready')])
  return { api, sources, stream: config.STREAM, stop, ended, close }
}

const post = (api: Hono, path: string, body?: unknown, type = 'application/json') =>
  api.request(path, {
    method: 'POST',
    ...(body !== undefined && {
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': type },
    }),
  })
async function get<T>(api: Hono, path: string): Promise<T> {
  return (await (await api.request(path)).json()) as T
}
/** A refusal, as it is told. */
const problemOf = async (response: Response) =>
  (await response.json()) as { detail: string; errors?: object[] }
const fill = async (api: Hono, body: object, name = 'system-1') =>
  (await post(api, `/sources/${name}/orders`, body)).json()
const bodies = async (stream: string) =>
  (await redis.redis.xrange(stream, '-', '+')).map(
    ([, fields]) => JSON.parse(fields[1] as string).payload.body,
  )

/** Starts a run; returns its path and what was answered. */
async function run(api: Hono, name = 'system-1'): Promise<[path: string, run: RunView]> {
  const response = await post(api, `/sources/${name}/runs`)
  expect(response.status).toBe(202)
  return [response.headers.get('location') as string, (await response.json()) as RunView]
}
const become = (api: Hono, path: string, state: string) =>
  until(async () => (await get<RunView>(api, path)).state === state, `${path} is ${state}`)

test('a run sends what is in the table by then, as it is, and the next one what has come since', async () => {
  const { api, stream } = await start()
  expect(await fill(api, { count: 3, share: 0.34, seed: 1 })).toEqual({
    source: 'system-1',
    count: 3,
    passing: 1,
    first: '1',
    last: '3',
    share: 0.34,
    seed: 1,
  })
  expect(await bodies(stream)).toEqual([])
  const [path, first] = await run(api)
  expect(first).toMatchObject({ source: 'system-1', after: '0', upTo: '3', state: 'running' })
  await become(api, path, 'done')
  await fill(api, { count: 2 })
  expect(await get<SourceView>(api, '/sources/system-1')).toMatchObject({
    table: `${schema}.system_1_orders`,
    state: 'idle',
    lastRow: '3',
    rowsWaiting: 2,
    lastRun: { id: first.id, state: 'done', finishedAt: expect.any(String) },
  })
  const [again, second] = await run(api)
  expect(second).toMatchObject({ after: '3', upTo: '5' })
  await become(api, again, 'done')
  const rows = await on.server.query(`SELECT to_jsonb(t) AS row FROM ${schema}.system_1_orders t ORDER BY id`)
  expect(await bodies(stream)).toEqual(rows.map(({ row }) => ({ source: 'system-1', ...row })))
  const [, nothing] = await run(api)
  expect(nothing).toMatchObject({ after: '5', upTo: '5', state: 'done' })
})

test('all sources are started at once', async () => {
  const { api, stream } = await start()
  for (const name of ['system-1', 'system-2']) await fill(api, { count: 700 }, name)
  const { runs } = (await (await post(api, '/runs')).json()) as { runs: RunView[] }
  for (const { source, id } of runs) await become(api, `/sources/${source}/runs/${id}`, 'done')
  const sent: { source: string; id: number }[] = await bodies(stream)
  for (const { source } of runs)
    expect(sent.filter(one => one.source === source).map(({ id }) => id)).toEqual(
      Array.from({ length: 700 }, (_, n) => n + 1),
    )
  expect(await get(api, '/status')).toMatchObject({ sent: 1400, sequence: 1400, backlog: 1400 })
})

test('a run waits for transactions that write, says so, and leaves none of their rows out', async () => {
  const { api, stream } = await start()
  const late = new pg.Client({ connectionString: on.server.url })
  await late.connect()
  onTestFinished(() => late.end())
  const insert = `INSERT INTO ${schema}.system_1_orders (product, price, security_check) VALUES ('lamp', 1, true)`
  await late.query('BEGIN')
  await late.query(insert)
  await on.server.query(insert)
  const [path] = await run(api)
  await until(
    async () => (await get<SourceView>(api, '/sources/system-1')).reason?.endsWith('still open: 1'),
    'it waits',
  )
  expect(await bodies(stream)).toEqual([])
  await late.query('COMMIT')
  await become(api, path, 'done')
  expect((await bodies(stream)).map(({ id }) => id)).toEqual([1, 2])
})

test('with POLL_MS it looks by itself, also for rows of any other table', async () => {
  await on.server.query(
    `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}."Own" (id int PRIMARY KEY, n numeric)`,
  )
  const { api, stream } = await start({ POLL_MS: '20', SOURCES: `own=${schema}.Own` })
  await on.server.query(`INSERT INTO ${schema}."Own" VALUES (5, 1.50)`)
  await until(async () => (await bodies(stream)).length === 1, 'one row')
  const [[, [, data]] = ['', []]] = await redis.redis.xrange(stream, '-', '+')
  expect(data).toContain('"body":{"source":"own","id":5,"n":1.50}}')
  const refused = await post(api, '/sources/own/orders', { count: 1 })
  expect([refused.status, (await problemOf(refused)).detail]).toEqual([
    409,
    expect.stringContaining('product'),
  ])
})

test('rows so large that a page of them takes longer than a statement may are sent all the same', async () => {
  await on.server.query(
    `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.large (id int PRIMARY KEY, text text);
     INSERT INTO ${schema}.large
     SELECT n, repeat('"', CASE WHEN n > 600 THEN 600000 ELSE 1 END) FROM generate_series(1, 660) AS n`,
  )
  const { api, stream } = await start({ COMMAND_TIMEOUT_MS: '250', SOURCES: `large=${schema}.large` })
  const [path] = await run(api, 'large')
  await until(async () => (await get<RunView>(api, path)).state === 'done', 'it is done', 120_000)
  const sent: { id: number }[] = await bodies(stream)
  expect(sent.map(({ id }) => id)).toEqual(Array.from({ length: 660 }, (_, n) => n + 1))
}, 150_000)

test('it ends without waiting for statements that do not', async () => {
  const { api, stop, ended, close } = await start()
  const locking = new pg.Client({ connectionString: on.server.url })
  await locking.connect()
  onTestFinished(() => locking.end())
  await locking.query('BEGIN')
  await locking.query(`LOCK TABLE ${schema}.system_1_orders`)
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${schema}%'`
  const filling = fill(api, { count: 1 })
  await until(async () => (await on.server.query(waiting)).length > 0, 'a statement waits')
  const asked = performance.now()
  stop.abort()
  await ended
  await close()
  expect(performance.now() - asked).toBeLessThan(3000)
  await locking.query('ROLLBACK')
  await filling
})

test('nothing is sent while consumers are MAX_BACKLOG behind', async () => {
  const { api, sources, stream } = await start({ MAX_BACKLOG: '5' })
  await fill(api, { count: 12 })
  const [path] = await run(api)
  await until(async () => (await bodies(stream)).length === 5, 'five rows')
  await until(() => sources.status().sources['system-1']?.reason?.includes('MAX_BACKLOG'), 'it waits')
  expect(sources.status()).toMatchObject({ backpressure: true, backlog: 5 })
  for (let read = 0; read < 12; read += 5)
    await until(
      () => redis.redis.xreadgroup('GROUP', 'consumer_group', 'c', 'COUNT', 5, 'STREAMS', stream, '>'),
      'more rows',
    )
  await become(api, path, 'done')
  expect(await bodies(stream)).toHaveLength(12)
})

test('a run whose last rows were deleted is done all the same', async () => {
  const { api, stream } = await start({ MAX_BACKLOG: '2' })
  await fill(api, { count: 4 })
  const [path] = await run(api)
  await until(async () => (await get<SourceView>(api, '/sources/system-1')).lastRow === '2', 'two rows')
  await on.server.query(`DELETE FROM ${schema}.system_1_orders WHERE id > 2`)
  await redis.redis.xreadgroup('GROUP', 'consumer_group', 'c', 'COUNT', 2, 'STREAMS', stream, '>')
  await become(api, path, 'done')
  expect(await bodies(stream)).toHaveLength(2)
})

test('a new life of the stream begins at the first row, and abandons runs of the old one', async () => {
  const own = await ownRedis()
  const { api, stream } = await start({ REDIS_URL: own.server.url, MAX_BACKLOG: '3' })
  await fill(api, { count: 6 })
  const [path] = await run(api)
  await until(async () => (await own.redis.xlen(stream)) === 3, 'three rows')
  await own.redis.flushall()
  await become(api, path, 'abandoned')
  expect(await get<SourceView>(api, '/sources/system-1')).toMatchObject({ lastRow: '0', rowsWaiting: 6 })
  expect((await run(api))[1]).toMatchObject({ after: '0', upTo: '6' })
  await until(async () => (await own.redis.xlen(stream)) === 3, 'three rows again')
})

describe('what cannot be used is refused, with the fields that are wrong', () => {
  test('orders', async () => {
    const { api } = await start()
    const path = '/sources/system-1/orders'
    for (const [body, errors] of [
      [{}, [['/count', 'must be a whole number from 1 to 100000']]],
      [{ count: 0 }, [['/count', 'must be a whole number from 1 to 100000']]],
      [
        { count: 1.5, share: 2 },
        [
          ['/count', expect.any(String)],
          ['/share', 'must be a number from 0 to 1'],
        ],
      ],
      [
        { count: 1, seed: -1, 'a/b': 1 },
        [
          ['/seed', expect.any(String)],
          ['/a~1b', 'is not allowed'],
        ],
      ],
      [[], [['', 'must be an object']]],
    ] as const) {
      const response = await post(api, path, body)
      expect(response.status, JSON.stringify(body)).toBe(422)
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect((await problemOf(response)).errors).toEqual(errors.map(([path, message]) => ({ path, message })))
    }
    expect((await post(api, path, '{')).status).toBe(400)
    expect((await post(api, path, '{}', 'text/plain')).status).toBe(415)
    expect((await post(api, path, { count: 1, x: 'x'.repeat(5000) })).status).toBe(413)
  })

  test('names and runs', async () => {
    const { api } = await start()
    for (const [method, path] of [
      ['GET', '/sources/x'],
      ['POST', '/sources/x/runs'],
      ['POST', '/sources/x/orders'],
      ['GET', `/sources/system-1';DROP TABLE x/runs/1`],
      ['GET', '/sources/system-1/runs/1'],
      ['GET', '/sources/system-1/runs/x'],
      ['GET', `/sources/system-1/runs/${'9'.repeat(30)}`],
      ['GET', '/nothing'],
    ] as const)
      expect((await api.request(path, { method })).status, path).toBe(404)
    const response = await api.request('/sources/x')
    expect((await problemOf(response)).detail).toBe('"x": no such source; there is system-1, system-2')
  })

  test('changes without the token', async () => {
    const { api } = await start({ API_TOKEN: 'correct-horse-battery' })
    for (const path of ['/runs', '/sources/system-1/runs', '/sources/system-1/orders'])
      expect((await post(api, path)).status).toBe(401)
    expect((await api.request('/sources')).status).toBe(200)
  })

  test.each([
    [{ DATABASE_URL: '' }, 'DATABASE_URL is needed'],
    [{ SOURCES: 'a' }, 'SOURCES="a": <name>=<table>'],
    [{ SOURCES: 'a=b=c' }, 'SOURCES="a=b=c": <name>=<table>'],
    [{ SOURCES: 'a=x.y.z' }, 'SOURCES="a=x.y.z": <name>=<table>'],
    [{ SOURCES: 'a=b,a=c' }, 'SOURCES: a is named twice'],
    [{ BATCH: '501' }, 'BATCH="501": a whole number from 1 to 500'],
  ])('%o', (env, message) => {
    expect(() => sourceConfig({ DATABASE_URL: 'postgres://x', ...env })).toThrow(message)
  })

  test('a table that is not there ends the service', async () => {
    await expect(start({ SOURCES: 'a=missing' })).rejects.toThrow(
      `table ${schema}.missing: there is no such table`,
    )
  })
})

test('the document names every route, and is shown as a page', async () => {
  const { api } = await start()
  const { paths, openapi } = await get<{ paths: Record<string, object>; openapi: string }>(
    api,
    '/openapi.json',
  )
  expect(openapi).toBe('3.1.1')
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
  )
  const routes = api.routes
    .filter(({ method, path }) => method !== 'ALL' && !/^\/(docs.*|openapi\.json)?$/.test(path))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
  expect(documented.sort()).toEqual([...new Set(routes)].sort())
  expect(await (await api.request('/docs')).text()).toContain(
    '<title>Conveyor: the API of its sources</title>',
  )
})
