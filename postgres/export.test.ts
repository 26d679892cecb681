import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { usePostgres } from '../tests/postgres.ts'
import { newName } from '../tests/redis.ts'
import { ExportFailed, exportRows } from './export.ts'
import { migrate } from './migrate.ts'
import { openPool } from './pool.ts'

const on = usePostgres()

/** A table in which a consumer has stored some packages, and a folder to write them into. */
async function stored(consumer: string) {
  const schema = newName()
  const pool = openPool({ url: on.server.url, name: 'test', deadline: 20_000 })
  const directory = await mkdtemp(join(tmpdir(), 'conveyor-test-'))
  onTestFinished(async () => {
    await pool.end()
    await rm(directory, { recursive: true })
  })
  await migrate(pool, schema)
  await pool.query(
    `INSERT INTO ${schema}.messages (stream, consumer_group, epoch, consumer, id, package, produced_at, payload)
     SELECT 's', 'g', 'e', $1, n || '-0', n, to_timestamp(5), '{}' FROM generate_series(1, 3) AS n`,
    [consumer],
  )
  return { directory, exported: () => exportRows(pool, { schema, stream: 's', group: 'g' }, directory) }
}

test('rows become the lines that their consumer would have written', async () => {
  const { directory, exported } = await stored('c1')
  expect(await exported()).toBe('e')
  expect(await readFile(join(directory, 'consumer_c1.txt'), 'utf8')).toBe(
    [1, 2, 3].map(n => `Consumer c1 processed package ${n} (timestamp: 5)\n`).join(''),
  )
})

test('a full disk is said in one line', async () => {
  const { directory, exported } = await stored('c1')
  await symlink('/dev/full', join(directory, 'consumer_c1.txt'))
  await expect(exported()).rejects.toThrow(ExportFailed)
  await expect(exported()).rejects.toThrow(/^rows cannot be written to \S+consumer_c1.txt: ENOSPC/)
})

test('a consumer whose name is a path is refused', async () => {
  const { exported } = await stored('/../../x')
  await expect(exported()).rejects.toThrow(
    'a row cannot be exported: consumer "/../../x" is not a name: 1 to 64 of A-Z a-z 0-9 _ - are allowed',
  )
})
