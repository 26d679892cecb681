import { expect, test } from 'vitest'
import { duration, letterId, packageRange } from './filter.ts'

test.for([
  ['90s', 90_000],
  ['10m', 600_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['0s', 0],
] as const)('%s is %i ms', ([text, ms]) => expect(duration(text)).toBe(ms))

test.for(['', '5', '-5s', '5 s', '1e3s', 's', '5w', '99999999999999d'])('%j is no duration', text => {
  expect(() => duration(text)).toThrow('10m')
})

test('ranges of packages', () => {
  expect(packageRange('100-200')).toEqual([100, 200])
  expect(packageRange('7')).toEqual([7, 7])
  for (const text of ['', '-5', '5-', '9-1', 'a-b', '1-2-3', '1-99999999999999999'])
    expect(() => packageRange(text), text).toThrow('100-200')
})

test('ids of letters', () => {
  expect(letterId('1795293061000-0')).toBe('1795293061000-0')
  expect(letterId('0012-01')).toBe('12-1')
  for (const text of ['', '5', '5-', '-5', '5-x', '18446744073709551616-0', '+-+'])
    expect(() => letterId(text), text).toThrow('dead letter')
})
