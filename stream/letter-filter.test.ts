import { expect, test } from 'vitest'
import type { DeadLetter } from './dead-letters.ts'
import { compareIds, type LetterFilter, meets } from './letter-filter.ts'

test('the order of ids', () => {
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
