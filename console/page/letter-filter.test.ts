import { expect, test } from 'vitest'
import type { LetterPage } from '../contract.ts'
import { chosen, confirms, filterOf, inWords, parseDuration } from './letter-filter.ts'

const read = (query: string) => filterOf(new URLSearchParams(query))

test('an address is a filter', () => {
  expect(read('')).toEqual({ filter: {}, errors: {} })
  expect(
    read(
      'reason=rejected&reason=handler+failed&error=%20no+route&minAge=10m&packages=100+-+200&minReplays=3',
    ),
  ).toEqual({
    filter: {
      reason: ['rejected', 'handler failed'],
      error: 'no route',
      minAge: 600_000,
      packages: '100-200',
      minReplays: 3,
    },
    errors: {},
  })
})

test('what cannot be used is named, and left out', () => {
  const { filter, errors } = read('minAge=soon&packages=9-3&minReplays=-1&error=x')
  expect(filter).toEqual({ error: 'x' })
  expect(Object.keys(errors)).toEqual(['minAge', 'packages', 'minReplays'])
})

test('durations', () => {
  expect(['90s', '10 min', '1.5h', '2d', '5ms', '5', 'h', ''].map(parseDuration)).toEqual([
    90_000,
    600_000,
    5_400_000,
    172_800_000,
    5,
    undefined,
    undefined,
    undefined,
  ])
})

test('a filter in words', () => {
  expect(inWords(new URLSearchParams(''))).toBe('')
  expect(inWords(new URLSearchParams('reason=a&reason=b&error=x&minAge=10m'))).toBe(
    'reason a or b, error contains “x”, older than 10m',
  )
})

test('what an action is about is what can be acted on', () => {
  const page = { matched: 12, replayable: 8, replayableAnyway: 10 } as LetterPage
  expect(chosen(page, 'purge', false)).toBe(12)
  expect(chosen(page, 'replay', false)).toBe(8)
  expect(chosen(page, 'replay', true)).toBe(10)
})

test('the number has to be typed as it is', () => {
  expect(['1234', ' 1,234 ', '1 234'].map(typed => confirms(typed, 1234))).toEqual([true, true, true])
  expect(['', '123', '12345', '1234.0', 'all'].map(typed => confirms(typed, 1234))).toEqual([
    false,
    false,
    false,
    false,
    false,
  ])
})
