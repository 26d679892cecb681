import { expect, test } from 'vitest'
import type { LetterRow } from '../contract.ts'
import { actedOn } from './selection.ts'

const letters = [
  { id: '1-0', quarantined: false, unreplayable: null },
  { id: '2-0', quarantined: true, unreplayable: null },
  { id: '3-0', quarantined: true, unreplayable: 'it belongs to an earlier run' },
  { id: '4-0', quarantined: false, unreplayable: null },
] as LetterRow[]
const ids = ['1-0', '2-0', '3-0', 'gone']

test('a replay is about those that can be replayed, a purge about all', () => {
  expect(actedOn(letters, ids, 'replay', false)).toEqual(['1-0'])
  expect(actedOn(letters, ids, 'replay', true)).toEqual(['1-0', '2-0'])
  expect(actedOn(letters, ids, 'purge', false)).toEqual(['1-0', '2-0', '3-0'])
})
