import { expect, test } from 'vitest'
import { consumerConfig } from './config.ts'

test('has an id, its default directory, and free health port', () => {
  expect(consumerConfig({})).toMatchObject({
    GROUP: 'consumer_group',
    OUTPUT_DIR: 'consumer_output',
    HEALTH_PORT: 0,
  })
  expect(consumerConfig({}).CONSUMER_ID).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
  expect(consumerConfig({ CONSUMER_ID: 'mine' }).CONSUMER_ID).toBe('mine')
})

test.each([
  [{ CONSUMER_ID: 'a b' }, 'CONSUMER_ID="a b": 1 to 64 of A-Z a-z 0-9 _ - are allowed'],
  [{ CONSUMER_ID: '../etc' }, 'CONSUMER_ID="../etc": 1 to 64'],
  [{ HISTORY: 'some' }, 'HISTORY="some": all, failures or off is allowed'],
  [{ MAX_ATTEMPTS: '0' }, 'MAX_ATTEMPTS="0": a whole number from 1 to 1000 is allowed'],
  [
    { RETRY_DELAY_MS: '5000', RETRY_MAX_DELAY_MS: '4000' },
    'RETRY_MAX_DELAY_MS=4000: at least RETRY_DELAY_MS (5000) is allowed',
  ],
  [{ BATCH: '1000', MAX_HELD: '500' }, 'BATCH=1000: at most MAX_HELD (500) is allowed'],
  [{ COMMAND_TIMEOUT_MS: '300' }, 'COMMAND_TIMEOUT_MS=300: at least twice BEAT_INTERVAL_MS (200)'],
  [{ BEAT_INTERVAL_MS: '10', DEATH_BEATS: '2' }, 'DEATH_BEATS=2: with BEAT_INTERVAL_MS=10'],
])('refuses %o', (env, message) => {
  expect(() => consumerConfig(env)).toThrow(message)
})
