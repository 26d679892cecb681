import { readConfig } from '@conveyor/service'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { databaseSettings } from './config.ts'

const read = (url: string) => readConfig(z.object(databaseSettings), { DATABASE_URL: url }).DATABASE_URL

test.each([
  'postgres://me:secret@127.0.0.1:5432/shop',
  'postgresql://me:s%2Fcret@[::1]/shop?sslmode=require',
  'postgres:///shop?host=/var/run/postgresql',
  'postgres://me@/shop?host=/var/run/postgresql',
])('%s is a database', url => {
  expect(read(url)).toBe(url)
})

test.each([
  ['mysql://127.0.0.1/shop', 'mysql://127.0.0.1/shop'],
  ['postgres://127.0.0.1:99999/shop', 'postgres://127.0.0.1:99999/shop'],
  ['postgres://me:se/cret@127.0.0.1/shop', 'postgres://***@127.0.0.1/shop'],
])('%s is none', (url, shown) => {
  expect(() => read(url)).toThrow(
    `DATABASE_URL="${shown}": a URL such as postgres://user@127.0.0.1:5432/database is allowed`,
  )
})
