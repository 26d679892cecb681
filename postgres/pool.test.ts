import { expect, onTestFinished, test } from 'vitest'
import { usePostgres } from '../tests/postgres.ts'
import { newName, until } from '../tests/redis.ts'
import { openPool } from './pool.ts'

const on = usePostgres()

test('the server gives up a statement that nobody waits for any more', async () => {
  const name = newName()
  const pool = openPool({ url: on.server.url, name, deadline: 300 })
  onTestFinished(() => pool.end())
  await expect(pool.query('SELECT pg_sleep(60)')).rejects.toThrow(/timeout/)
  const running = `SELECT FROM pg_stat_activity WHERE application_name = '${name}' AND state = 'active'`
  await until(async () => (await on.server.query(running)).length === 0, 'it has given up')
})
