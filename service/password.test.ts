import { expect, test } from 'vitest'
import { withoutPassword } from './password.ts'

test.each([
  ['redis://127.0.0.1:6379', 'redis://127.0.0.1:6379'],
  ['postgres://me@host/db', 'postgres://***@host/db'],
  ['postgres://me:secret@host:5432/db', 'postgres://***@host:5432/db'],
  ['postgres://me:se/cr/et@host/db', 'postgres://***@host/db'],
  ['amqp://me:se@cr@et@host/vhost', 'amqp://***@host/vhost'],
  ['amqp://me:se//cr\net@host', 'amqp://***@host'],
])('%s is shown as %s', (url, shown) => {
  expect(withoutPassword(url)).toBe(shown)
})
