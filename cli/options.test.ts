import { expect, test } from 'vitest'
import { amqpUrl, databaseUrl } from './options.ts'

const database = (text: string) => databaseUrl('').parseArg?.(text, undefined)

test('URLs that can be used are taken as they are', () => {
  expect(amqpUrl('amqp://me:secret@127.0.0.1:5672/vhost')).toBe('amqp://me:secret@127.0.0.1:5672/vhost')
  expect(database('postgres://me@127.0.0.1/shop')).toBe('postgres://me@127.0.0.1/shop')
})

test.each([
  ['http', '127.0.0.1'],
  [undefined, '127.0.0.1:99999/x'],
  [undefined, 'me:se/cret@127.0.0.1/x'],
])('%s, %s is refused', (scheme, rest) => {
  expect(() => amqpUrl(`${scheme ?? 'amqp'}://${rest}`)).toThrow('A URL such as amqp://')
  expect(() => database(`${scheme ?? 'postgres'}://${rest}`)).toThrow('A URL such as postgres://')
})
