import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pipeline } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { usePostgres, wireTo } from './postgres.ts'
import { newName } from './redis.ts'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'
import { supervise } from './supervise.ts'

const on = usePostgres()

/** Every 11th package fails at first, every 500th is one that PostgreSQL cannot store. */
const HANDLER = `export default ({ package: n }, { attempt }) => {
  if (n % 11 === 0 && attempt === 1) throw new Error('at first')
  return n % 500 === 0 ? { text: 'a\\u0000b' } : { n }
}`

async function rowsOf(schema: string, { keys }: Pipeline) {
  return on.server.query<{ package: string; result: { n: number }; epoch: string }>(
    `SELECT package, result, epoch FROM ${schema}.messages WHERE stream = $1 ORDER BY package`,
    [keys.stream],
  )
}

test('each package is one row or a dead letter, whatever is killed, paused or cut off', async () => {
  const schema = newName()
  const wire = await wireTo(on.server)
  const pipeline = await startPipeline({
    ...QUICK_DEATH,
    OUTPUT: 'postgres',
    DATABASE_URL: on.server.url,
    DATABASE_SCHEMA: schema,
    COMMAND_TIMEOUT_MS: '1000',
    RETRY_DELAY_MS: '20',
    MAX_DELIVERIES: '1000',
    TRIM_ABOVE: '10000000',
  })
  const handler = join(pipeline.dir, 'handler.mjs')
  await writeFile(handler, HANDLER)
  const consumers = [
    supervise(pipeline, 'c1', { HANDLER: handler, DATABASE_URL: wire.url }),
    supervise(pipeline, 'c2', { HANDLER: handler }),
    supervise(pipeline, 'c3', { HANDLER: handler }),
  ]
  pipeline.producer(0, { RATE: '5000' })
  const goOn = async () => {
    const { done } = await pipeline.inspect()
    await pipeline.committed(done + 2000)
  }
  await goOn()
  for (let round = 0; round < 3; round++) {
    await on.server.kill()
    await on.server.run()
    await goOn()
    await consumers[round]?.current.kill()
    await goOn()
    await wire.loseAnswerTo('INSERT INTO')
    await goOn()
    on.server.pause()
    await consumers[(round + 1) % 3]?.current.logged('output cannot be written', { count: round + 1 })
    on.server.resume()
    await goOn()
    await pipeline.crashRedis()
    await goOn()
  }
  const last = await pipeline.endProducing()
  const state = await pipeline.drained(last)
  await pipeline.stop()

  const letters = await pipeline.deadLetters()
  const refused = upTo(last).filter(n => n % 500 === 0)
  expect(letters.map(letter => letter.package as number).sort((a, b) => a - b)).toEqual(refused)
  for (const letter of letters) {
    expect(letter.reason).toBe('refused by the sink')
    expect(letter.detail).toContain('Unicode')
  }
  const rows = await rowsOf(schema, pipeline)
  expect(rows.map(row => Number(row.package))).toEqual(upTo(last).filter(n => n % 500 !== 0))
  for (const row of rows)
    expect(row).toMatchObject({ epoch: state.epoch, result: { n: Number(row.package) } })
})

test('consumers wait for a server that is not there yet, and then store what has come meanwhile', async () => {
  const schema = newName()
  await on.server.kill()
  const pipeline = await startPipeline({
    OUTPUT: 'postgres',
    DATABASE_URL: on.server.url,
    DATABASE_SCHEMA: schema,
  })
  const consumer = pipeline.consumer('c1')
  pipeline.producer(500)
  await consumer.logged('PostgreSQL cannot be reached')
  await on.server.run()
  await pipeline.drained(500)
  await pipeline.stop()
  expect((await rowsOf(schema, pipeline)).map(row => Number(row.package))).toEqual(upTo(500))
})

test.each([
  [
    'a database that does not exist',
    (url: string) => url.replace(/postgres$/, 'nowhere'),
    'DATABASE_URL: database',
  ],
  [
    'a user who does not exist',
    (url: string) => url.replace('postgres@', 'nobody:secret@'),
    'DATABASE_URL: role',
  ],
  ['no URL at all', () => '', 'DATABASE_URL is needed'],
  ['what is no URL', () => 'here', 'DATABASE_URL="here": a URL such as'],
])('%s is one line and exit code 2', async (_, wrong, message) => {
  const pipeline = await startPipeline()
  const consumer = pipeline.consumer('c1', { OUTPUT: 'postgres', DATABASE_URL: wrong(on.server.url) })
  expect(await consumer.ended()).toEqual({ code: 2, signal: null })
  expect(consumer.output).toContain(message)
  expect(consumer.output).not.toContain('secret')
})

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
