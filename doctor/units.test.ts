import { expect, test } from 'vitest'
import { bytes, duration, perSecond } from './units.ts'

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1500, '1.5 kB'],
  [99_960, '100 kB'],
  [999_600, '1.0 MB'],
  [46_900_000_000, '47 GB'],
])('%i bytes are %s', (value, text) => expect(bytes(value)).toBe(text))

test.each([
  [0, '0 s'],
  [0.42, '0.4 s'],
  [75, '75 s'],
  [100, '1.7 min'],
  [3 * 3600, '3 h'],
  [50 * 3600, '2.1 d'],
])('%d seconds are %s', (value, text) => expect(duration(value)).toBe(text))

test('a rate that is not known is no zero', () => {
  expect([null, 0, 1.26, 12_345.6].map(perSecond)).toEqual(['-', '0/s', '1.3/s', '12,346/s'])
})
