import { AlwaysOffSampler } from '@opentelemetry/sdk-trace'
import { expect, onTestFinished, test } from 'vitest'
import { usePostgres } from '../tests/postgres.ts'
import { newName, until } from '../tests/redis.ts'
import { useTelemetry } from '../tests/telemetry.ts'
import { openPostgresSink } from './open-sink.ts'

const on = usePostgres()
const telemetry = useTelemetry(new AlwaysOffSampler())
const origin = { stream: 's', group: 'g', epoch: 'e', consumer: 'c1' }
const { signal } = new AbortController()

function finished(n: number, text = '') {
  const id = `1783728000000-${n}`
  const message = { entry: id, id, package: n, timestamp: 1753553379, payload: { package: n, text } }
  return { message: { ...message, deliveries: 1, attempt: 1, replays: 0, failures: [] }, result: undefined }
}

async function open(said: string[] = [], schema = newName(), stop = signal) {
  const opened = await openPostgresSink({
    url: on.server.url,
    schema,
    consumer: 'c1',
    deadline: 2000,
    stop,
    note: (fields, text) => said.push(`${text} ${JSON.stringify(fields)}`),
  })
  onTestFinished(() => opened.close())
  return { ...opened, schema }
}

test('statements that fail are counted, by code', async () => {
  const { sink, schema } = await open()
  const errors = async () =>
    new Map(
      (await telemetry.metrics())
        .get('postgres_insert_errors')
        ?.map(({ attributes, value }) => [Object.values(attributes).join(' '), value]),
    )
  expect(await errors()).toEqual(new Map([['c1', 0]]))
  await sink.store([finished(1, 'a\u0000')], origin, signal)
  await on.server.query(`DROP TABLE ${schema}.messages`)
  await sink.store([finished(2)], origin, signal).catch(() => {})
  expect(await errors()).toEqual(
    new Map([
      ['c1', 0],
      ['c1 22P05', 1],
      ['c1 42P01', 1],
    ]),
  )
})

test('it waits for a server, says so once, and gives up when it is told to', async () => {
  await on.server.kill()
  const said: string[] = []
  const opening = open(said)
  await until(() => said.length > 0, 'it says that it waits')
  const stop = new AbortController()
  const given = open([], newName(), stop.signal)
  stop.abort()
  await given
  await on.server.run()
  const { sink } = await opening
  expect(said).toHaveLength(1)
  expect(said[0]).toContain('PostgreSQL cannot be reached: waiting for it')
  expect(await sink.store([finished(1)], origin, signal)).toEqual(new Map())
})

test('a server that does not sync is worth a warning', async () => {
  await on.server.query(`ALTER SYSTEM SET synchronous_commit = off`)
  await on.server.query('SELECT pg_reload_conf()')
  onTestFinished(async () => {
    await on.server.query('ALTER SYSTEM RESET synchronous_commit')
    await on.server.query('SELECT pg_reload_conf()')
  })
  await until(
    async () => (await on.server.query('SHOW synchronous_commit'))[0]?.synchronous_commit === 'off',
    'the setting is in force',
  )
  const said: string[] = []
  await open(said)
  expect(said).toEqual([expect.stringContaining('synchronous_commit = off: a power cut may lose rows')])
})
