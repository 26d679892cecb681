import { expect, test } from 'vitest'
import { producerConfig } from './config.ts'

test('emits 10 a second without end by default, and trims above 100 to 50 every 10 s', () => {
  expect(producerConfig({})).toMatchObject({
    RATE: 10,
    PACKAGES: 0,
    GROUPS: ['consumer_group'],
    TRIM_INTERVAL_MS: 10_000,
    TRIM_ABOVE: 100,
    TRIM_TO: 50,
    PORT: 8000,
  })
})

test('takes several groups, each once', () => {
  expect(producerConfig({ GROUPS: 'a,b,a' }).GROUPS).toEqual(['a', 'b'])
  expect(() => producerConfig({ GROUPS: 'a,,b' })).toThrow('GROUPS="a,,b": names separated by commas')
})

test('does not keep more than what it trims at', () => {
  expect(() => producerConfig({ TRIM_TO: '200' })).toThrow('TRIM_TO=200: at most TRIM_ABOVE (100) is allowed')
})
