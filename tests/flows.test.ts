import { deadLetters, inspect, keysOf } from '@conveyor/stream'
import { expect, test } from 'vitest'
import { usePostgres } from './postgres.ts'
import { useRabbit } from './rabbitmq.ts'
import { ownRedis } from './redis.ts'
import { OK, PATIENCE, said, useCommands } from './run-command.ts'

const commands = useCommands()
const database = usePostgres()
const broker = useRabbit()

test('producer, RabbitMQ, consumers, PostgreSQL: each package is a row, also when the broker is killed', async () => {
  const amqp = `amqp://guest:guest@127.0.0.1:${broker.server.port}`
  const command = commands.start(
    `up --flow rabbitmq --packages 3000 --rate 500 --consumers 2 --amqp-url ${amqp} --database-url ${database.server.url}`,
    { DATABASE_SCHEMA: 'through_rabbitmq' },
  )
  await said(command, /queue_a=[1-9]\d{3}.* committed=[1-9]\d{2}/)
  await broker.server.kill()
  await broker.server.run()
  expect(await command.ended(PATIENCE), command.lastWords(40)).toEqual(OK)
  expect(command.output).toContain('queue_a: given out 3,000   processed 3,000   in the dead letters 0')
  expect(command.output).toContain('Given out: 3,000   in the table: 3,000   in the dead letters: 0')
  const rows = await database.server.query<{ n: number }>(
    `SELECT (payload->'body'->>'package')::int AS n FROM through_rabbitmq.messages ORDER BY n`,
  )
  expect(rows.map(({ n }) => n)).toEqual(Array.from({ length: 3000 }, (_, n) => n + 1))
})

test('orders of two tables: those that pass their check are rows, the others are dead letters', async () => {
  const { server, redis } = await ownRedis()
  const output = await commands.run(
    `up --flow orders --packages 1000 --consumers 2 --redis-url ${server.url} --database-url ${database.server.url}`,
    { DATABASE_SCHEMA: 'of_orders', RETRY_DELAY_MS: '50' },
  )
  expect(output).toContain('1000 sample orders added')
  const tables = [1, 2].map(
    n => `SELECT 'system-${n}' AS source, id, security_check FROM of_orders.system_${n}_orders`,
  )
  const orders = await database.server.query<{ source: string; id: string; security_check: boolean }>(
    tables.join(' UNION ALL '),
  )
  const rows = await database.server.query<{ order: string }>(
    `SELECT payload->'body'->>'source' || ' ' || (payload->'body'->>'id') AS order FROM of_orders.messages`,
  )
  const name = ({ source, id }: { source: string; id: string }) => `${source} ${id}`
  const passing = orders.filter(order => order.security_check).map(name)
  expect(orders).toHaveLength(1000)
  expect(rows.map(({ order }) => order).sort()).toEqual(passing.sort())
  const keys = keysOf('orders', 'consumer_group')
  expect(await inspect(redis, keys)).toMatchObject({ done: passing.length, dead: 1000 - passing.length })
  const dead: string[] = []
  for await (const { fields } of deadLetters(redis, keys))
    dead.push(name(JSON.parse(fields.data ?? '').payload.body))
  expect(dead.sort()).toEqual(
    orders
      .filter(order => !order.security_check)
      .map(name)
      .sort(),
  )
})
