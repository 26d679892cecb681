import type { Pipeline, ServiceProcess } from '@conveyor/chaos'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { crash, expectExactlyOnce, POINTS, startCrashPipeline } from './crash-points.ts'
import { usePostgres } from './postgres.ts'
import { newName, until } from './redis.ts'
import { QUICK_DEATH, startPipeline, startWire } from './start-pipeline.ts'

const on = usePostgres()
const SYSTEMS = ['system-1', 'system-2'] as const

interface Order {
  readonly id: number
  readonly security_check: boolean
}
type Sent = Order & { readonly source: string; readonly package: number }

/** An instance of the service that is started again when it is killed. */
class Instance {
  private process: ServiceProcess
  constructor(
    private readonly pipeline: Pipeline,
    private readonly name: string,
    private readonly env: NodeJS.ProcessEnv,
  ) {
    this.process = this.start()
  }

  async crash(): Promise<void> {
    await this.process.kill()
    this.process = this.start()
  }

  /** Asks until it is answered as it should be. */
  async ask<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await until(
      async () => {
        const { url } = await this.process.logged('source started')
        const init = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
        const response = await fetch(`${url}${path}`, { method, ...init }).catch(() => undefined)
        return response?.ok ? [(await response.json()) as T] : undefined
      },
      `${this.name} answers ${method} ${path}`,
      60_000,
    )
    return (answer as [T])[0]
  }

  private start(): ServiceProcess {
    return this.pipeline.source(this.name, this.env)
  }
}

/** What the stream was sent, in order; retries are left out. */
async function sentTo({ client, keys }: Pipeline): Promise<Sent[]> {
  const entries = await client.xrange(keys.stream, '-', '+')
  return entries
    .filter(([, fields]) => !fields.includes('conveyor'))
    .map(([, fields]) => JSON.parse(fields[fields.indexOf('data') + 1] as string).payload)
    .map(({ package: number, body }) => ({ ...body, package: number }))
}

/** Orders of a system, in order. */
async function ordersOf(schema: string, source: string): Promise<Order[]> {
  const table = `${schema}.${source.replace('-', '_')}_orders`
  const rows = await on.server.query<{ row: Order }>(`SELECT to_jsonb(t) AS row FROM ${table} t ORDER BY id`)
  return rows.map(({ row }) => row)
}

/** Sees each row of each table in the stream once and in order, under numbers without a gap; returns what was sent. */
async function expectEachRowOnce(pipeline: Pipeline, schema: string): Promise<Sent[]> {
  const sent = await sentTo(pipeline)
  expect(sent.map(one => one.package)).toEqual(sent.map((_, n) => n + 1))
  for (const source of SYSTEMS) {
    const own = sent.filter(one => one.source === source)
    expect(own.map(({ package: _, source: __, ...order }) => order)).toEqual(await ordersOf(schema, source))
  }
  return sent
}

test('two systems, two instances: each order comes out once, whatever is killed on the way', async () => {
  const schema = newName()
  const pipeline = await startPipeline({
    ...QUICK_DEATH,
    DATABASE_URL: on.server.url,
    DATABASE_SCHEMA: schema,
    COMMAND_TIMEOUT_MS: '2000',
    TRIM_ABOVE: '10000000',
    MAX_BACKLOG: '100',
    MAX_DELIVERIES: '1000',
    BATCH: '20',
  })
  const wire = await startWire(pipeline)
  const wired = new Instance(pipeline, 'wired', { REDIS_URL: wire.url })
  const plain = new Instance(pipeline, 'plain', {})
  const fill = (source: string, count: number) =>
    plain.ask('POST', `/sources/${source}/orders`, { count, share: 0.7 })
  const restart = () => Promise.all([wired, plain].map(one => one.ask('POST', '/runs')))
  for (const source of SYSTEMS) await fill(source, 3000)
  await restart()
  pipeline.producer(0, { RATE: '0' })
  const env = { HANDLER: 'demo', RETRY_DELAY_MS: '20', OUTPUT: 'postgres', BATCH: '500' }
  pipeline.consumers(['c1', 'c2', 'c3'], env)

  const known = () => Promise.all(SYSTEMS.map(async source => (await ordersOf(schema, source)).length))
  const inTables = async () => (await known()).reduce((a, b) => a + b)
  const goOn = async () => {
    const { sequence } = await pipeline.inspect()
    if (sequence + 1000 > (await inTables())) {
      for (const source of SYSTEMS) await fill(source, 1000)
      await restart()
    }
    await pipeline.when(state => state.sequence >= sequence + 200, 'sources go on')
  }
  await goOn()
  for (let round = 0; round < 3; round++) {
    for (const fault of [
      () => wired.crash(),
      () => wire.dropNextReply(request => request.includes(':sources')),
      () => Promise.all([wired.crash(), plain.crash()]),
      () => wire.cutMidReply(request => request.includes(':sources')),
      () => pipeline.crashRedis(),
      () => wire.cutAll(),
      () => on.server.kill().then(() => on.server.run()),
      () => plain.crash(),
    ]) {
      await fault()
      await goOn()
    }
  }
  const runs = (await Promise.all(SYSTEMS.map(source => plain.ask('POST', `/sources/${source}/runs`)))) as {
    id: string
    source: string
    state: string
  }[]
  for (const { source, id } of runs) {
    const path = `/sources/${source}/runs/${id}`
    const done = async () => (await wired.ask<{ state: string }>('GET', path)).state === 'done'
    await until(done, `${path} is done`, 60_000)
  }
  const last = await inTables()
  await pipeline.drained(last)
  const { sources } = await plain.ask<{ sources: object[] }>('GET', '/sources')
  const rows = await known()
  for (const [n, source] of sources.entries())
    expect(source).toMatchObject({
      lastRow: expect.stringMatching(/^\d+$/),
      rowsWaiting: 0,
      name: SYSTEMS[n],
    })
  await pipeline.stop()
  expect(rows.every(count => count >= 3000)).toBe(true)

  const sent = await expectEachRowOnce(pipeline, schema)
  expect(sent.length).toBe(last)
  const letters = (await pipeline.deadLetters()).map(letter => letter.package as number)
  expect(letters.sort((a, b) => a - b)).toEqual(packagesOf(sent, false))
  const stored = await on.server.query<{ package: string; payload: { body: Sent } }>(
    `SELECT package, payload FROM ${schema}.messages ORDER BY package`,
  )
  expect(stored.map(row => Number(row.package))).toEqual(packagesOf(sent, true))
  for (const { package: number, payload } of stored)
    expect(sent[Number(number) - 1]).toEqual({ ...payload.body, package: Number(number) })
})

const packagesOf = (sent: Sent[], passes: boolean) =>
  sent.filter(one => one.security_check === passes).map(one => one.package)

test('a source is killed at each of its steps, and started again', async () => {
  const schema = newName()
  const pipeline = await startCrashPipeline()
  pipeline.consumers(['c1', 'c2'], { BATCH: '50' })
  const start = (env: NodeJS.ProcessEnv = {}) =>
    pipeline.source('source', {
      DATABASE_URL: on.server.url,
      DATABASE_SCHEMA: schema,
      SOURCES: 'system-1=system_1_orders',
      POLL_MS: '100',
      BATCH: '50',
      ...env,
    })
  const first = start()
  const { url } = await first.logged('source started')
  await until(async () => (await fetch(`${url}/readyz`)).ok, 'the tables are there')
  await on.server.query(
    `INSERT INTO ${schema}.system_1_orders (product, price, security_check) SELECT 'lamp', n, true FROM generate_series(1, 4000) n`,
  )
  await pipeline.when(({ sequence }) => sequence > 0, 'it sends')
  await first.kill()
  for (const point of POINTS.source) await crash(start, point)
  expect((await pipeline.inspect()).sequence).toBeLessThan(4000)
  start()
  await pipeline.drained(4000)
  await expectEachRowOnce(pipeline, schema)
  await expectExactlyOnce(pipeline)
})

test('a signal ends it, also while a table is locked that the API was asked to fill', async () => {
  const schema = newName()
  const pipeline = await startPipeline({ DATABASE_URL: on.server.url, DATABASE_SCHEMA: schema })
  const source = pipeline.source('source')
  const { url } = await source.logged('source started')
  await until(async () => (await fetch(`${url}/readyz`)).ok, 'it is ready')
  const locking = new pg.Client({ connectionString: on.server.url })
  await locking.connect()
  onTestFinished(() => locking.end())
  await locking.query(`BEGIN; LOCK TABLE ${schema}.system_1_orders`)
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"count": 1}' }
  const asking = fetch(`${url}/sources/system-1/orders`, init).catch(() => 'cut off')
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${schema}%'`
  await until(async () => (await on.server.query(waiting)).length > 0, 'a statement waits')
  expect(await source.stop(6000)).toEqual({ code: 0, signal: null })
  expect(await asking).toBe('cut off')
})
