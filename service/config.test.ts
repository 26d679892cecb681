import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ConfigError, common, integer, name, rate, readConfig } from './config.ts'

const schema = z.object({ ...common, PORT: integer(8000, 0, 65_535), RATE: rate.default(10), ID: name() })

describe('readConfig', () => {
  test('has defaults for everything, and an empty variable counts as not set', () => {
    const config = readConfig(schema, { PORT: '' })
    expect(config).toMatchObject({
      PORT: 8000,
      RATE: 10,
      REDIS_URL: 'redis://127.0.0.1:6379',
      STREAM: 'number_stream',
    })
    expect(config.ID).toBeUndefined()
  })

  test('leaves unknown variables out', () => {
    expect(readConfig(schema, { PATH: '/bin' })).not.toHaveProperty('PATH')
  })

  test.each([
    [{ PORT: 'abc' }, 'PORT="abc": a whole number from 0 to 65535 is allowed'],
    [{ PORT: '70000' }, 'PORT="70000": a whole number from 0 to 65535 is allowed'],
    [{ PORT: '1e3' }, 'PORT="1e3": a whole number from 0 to 65535 is allowed'],
    [{ RATE: '-1' }, 'RATE="-1": a number from 0 to 1000000 (messages per second), or max, is allowed'],
    [{ ID: '../x' }, 'ID="../x": 1 to 64 of A-Z a-z 0-9 _ - are allowed'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL="loud": trace, debug, info, warn, error, fatal or silent is allowed'],
    [{ REDIS_URL: 'localhost' }, 'REDIS_URL="localhost": a URL such as redis://127.0.0.1:6379 is allowed'],
  ])('names the variable, its value and what is allowed: %o', (env, message) => {
    expect(() => readConfig(schema, env)).toThrow(new ConfigError(message))
  })

  test('does not repeat a password', () => {
    const url = z.object({ REDIS_URL: z.string().regex(/^never$/, 'not this') })
    expect(() => readConfig(url, { REDIS_URL: 'redis://me:secret@host' })).toThrow(
      new ConfigError('REDIS_URL="redis://***@host": not this'),
    )
    expect(() => readConfig(url, { REDIS_URL: 'redis://me:se/cr@et@host' })).toThrow(
      new ConfigError('REDIS_URL="redis://***@host": not this'),
    )
  })
})

test('a rate is a number of messages per second, or max', () => {
  expect(rate.parse('max')).toBe('max')
  expect(rate.parse('0.5')).toBe(0.5)
  for (const bad of ['-1', 'NaN', '', '1e9', 'Infinity']) expect(rate.safeParse(bad).success, bad).toBe(false)
})
