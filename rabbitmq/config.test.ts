import { ConfigError } from '@conveyor/service'
import { expect, test } from 'vitest'
import { bridgeConfig } from './config.ts'

const needed = { AMQP_URL: 'amqp://127.0.0.1', AMQP_QUEUE: 'orders' }

test('where the broker is and what the queue is called has to be said, and nothing else', () => {
  expect(bridgeConfig(needed)).toMatchObject({ ...needed, AMQP_QUEUE_TYPE: 'quorum', AMQP_PREFETCH: 500 })
})

test.each([
  [{ AMQP_URL: '' }, 'AMQP_URL: not set; a URL such as amqp://user@127.0.0.1:5672/vhost is needed'],
  [{ AMQP_QUEUE: '' }, 'AMQP_QUEUE: not set; the queue that messages are taken from is needed'],
  [
    { AMQP_URL: 'http://me:secret@host' },
    'AMQP_URL="http://***@host": a URL such as amqp://user@127.0.0.1:5672/vhost is allowed',
  ],
  [
    { AMQP_URL: 'amqp://host:99999' },
    'AMQP_URL="amqp://host:99999": a URL such as amqp://user@127.0.0.1:5672/vhost is allowed',
  ],
  [{ AMQP_QUEUE: 'a b' }, 'AMQP_QUEUE="a b": 1 to 200 printable ASCII characters without spaces are allowed'],
  [{ AMQP_QUEUE_TYPE: 'stream' }, 'AMQP_QUEUE_TYPE="stream": quorum or classic is allowed'],
  [{ AMQP_PREFETCH: '0' }, 'AMQP_PREFETCH="0": a whole number from 1 to 10000 is allowed'],
])('what cannot be used is said in a line: %o', (env, message) => {
  expect(() => bridgeConfig({ ...needed, ...env })).toThrow(new ConfigError(message))
})
