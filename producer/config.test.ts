import { ConfigError } from '@conveyor/service'
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

test('emits nothing but numbers by default, and takes a mix with a seed', () => {
  expect(producerConfig({}).MIX).toBeUndefined()
  expect(producerConfig({ MIX: '' }).MIX).toBeUndefined()
  expect(producerConfig({ MIX: 'retry=1,success=9', SEED: '4294967295' })).toMatchObject({
    MIX: [
      ['success', 9],
      ['retry', 1],
    ],
    SEED: 4_294_967_295,
  })
})

test('chooses a seed by itself, and not always the same', () => {
  const seeds = Array.from({ length: 10 }, () => producerConfig({ MIX: 'test=1' }).SEED)
  expect(seeds.every(seed => Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)).toBe(true)
  expect(new Set(seeds).size).toBeGreaterThan(1)
})

test.each([
  [
    { MIX: 'success=90,late=1' },
    'MIX="success=90,late=1": success, retry, fail, order, test, query, each once and with a weight above 0, as in success=90,retry=8,fail=2, are allowed',
  ],
  [{ SEED: '4294967296' }, 'SEED="4294967296": a whole number from 0 to 4294967295 is allowed'],
  [{ SEED: 'x' }, 'SEED="x": a whole number from 0 to 4294967295 is allowed'],
])('refuses %o', (env, message) => {
  expect(() => producerConfig(env)).toThrow(new ConfigError(message))
})
