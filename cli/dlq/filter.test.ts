import type { DeadLetter } from '@conveyor/stream'
import { expect, test } from 'vitest'
import { compareIds, duration, type LetterFilter, letterId, meets, packageRange } from './filter.ts'

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
  expect(['2-10', '10-1', '2-9', '10-0'].sort(compareIds)).toEqual(['2-9', '2-10', '10-0', '10-1'])
})

const letter = {
  at: 10_000,
  reason: 'handler failed',
  detail: 'Error: Connect refused',
  package: 7,
  replays: 1,
} as DeadLetter

test.for([
  [{}, true],
  [{ reason: ['rejected', 'Handler Failed'] }, true],
  [{ reason: ['handler'] }, false],
  [{ error: 'cONNECT' }, true],
  [{ error: 'timeout' }, false],
  [{ minAge: 5000 }, true],
  [{ minAge: 5001 }, false],
  [{ maxAge: 5000 }, true],
  [{ maxAge: 4999 }, false],
  [{ packages: [7, 7] }, true],
  [{ packages: [8, 9] }, false],
  [{ minReplays: 1 }, true],
  [{ minReplays: 2 }, false],
  [{ error: 'connect', packages: [8, 9] }, false],
] satisfies [LetterFilter, boolean][])('%o: %s', ([filter, expected]) => {
  expect(meets(letter, filter, 15_000)).toBe(expected)
})

test('a letter without a package number is in no range', () => {
  const { package: _, ...nameless } = letter
  expect(meets(nameless, { packages: [0, 1000] }, 0)).toBe(false)
})
