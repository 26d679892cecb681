import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { usePostgres, wireTo } from '../tests/postgres.ts'
import { newName } from '../tests/redis.ts'
import { migrate } from './migrate.ts'
import { openPool } from './pool.ts'
import { PostgresSink } from './sink.ts'

const on = usePostgres()

let schema: string
beforeEach(() => {
  schema = newName()
})

function open(url = on.server.url) {
  const pool = openPool({ url, name: 'test', deadline: 5000 })
  onTestFinished(() => pool.end())
  return pool
}

const steps = async () =>
  (await on.server.query<{ step: number }>(`SELECT step FROM ${schema}.migrations ORDER BY step`)).map(
    ({ step }) => step,
  )

test('several at once apply each step once', async () => {
  await Promise.all([1, 2, 3].map(() => migrate(open(), schema)))
  expect(await steps()).toEqual([1, 2])
})

test.each(['to_regclass', 'BEGIN', 'pg_advisory_xact_lock', 'CREATE SCHEMA', 'COMMIT'])(
  'a connection that is lost at %s fails the attempt and nothing else',
  async part => {
    const wire = await wireTo(on.server)
    const pool = open(wire.url)
    const lost = wire.loseAnswerTo(part)
    await expect(migrate(pool, schema)).rejects.toThrow()
    await lost
    await migrate(pool, schema)
    expect(await steps()).toEqual([1, 2])
  },
)

test('who may only write is enough when nothing is to be applied', async () => {
  const role = newName()
  await on.server.query(`CREATE ROLE ${role} LOGIN`)
  onTestFinished(async () => {
    await on.server.query(`DROP OWNED BY ${role}`)
    await on.server.query(`DROP ROLE ${role}`)
  })
  const url = on.server.url.replace(/\/\/[^@]*@/, `//${role}@`)
  await expect(migrate(open(url), schema)).rejects.toThrow('permission denied for database')
  await migrate(open(), schema)
  await on.server.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`)
  await on.server.query(`GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA ${schema} TO ${role}`)
  const pool = open(url)
  await migrate(pool, schema)
  const message = { entry: '1-0', id: '1-0', package: 1, timestamp: 5, payload: { package: 1 } }
  const finished = { message: { ...message, deliveries: 1, attempt: 1, replays: 0, failures: [] }, result: 1 }
  const origin = { stream: 's', group: 'g', epoch: 'e', consumer: 'c' }
  const { signal } = new AbortController()
  expect(await new PostgresSink(pool, schema).store([finished], origin, signal)).toEqual(new Map())
  await on.server.query(`DELETE FROM ${schema}.migrations WHERE step = 2`)
  await expect(migrate(pool, schema)).rejects.toThrow('permission denied')
})
