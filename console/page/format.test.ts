import { expect, test } from 'vitest'
import {
  bytes,
  count,
  cut,
  duration,
  exact,
  percent,
  perSecond,
  plural,
  pretty,
  relative,
  sentence,
  span,
  timeOfId,
} from './format.ts'

test('numbers have separators and units', () => {
  expect([0, 1234, 1_234_567].map(count)).toEqual(['0', '1,234', '1,234,567'])
  expect(count(null)).toBe('–')
  expect([0, 12.34, 99.96, 1234.5].map(perSecond)).toEqual(['0/s', '12.3/s', '100/s', '1,235/s'])
  expect(perSecond(null)).toBe('–/s')
  expect([0, 999, 1500, 20e6, 3.25e9].map(bytes)).toEqual(['0 B', '999 B', '1.5 kB', '20 MB', '3.3 GB'])
  expect([0, 0.1234, 1].map(percent)).toEqual(['0 %', '12.3 %', '100 %'])
  expect([plural(1, 'entry', 'entries'), plural(2000, 'package')]).toEqual(['1 entry', '2,000 packages'])
})

test('durations take the unit that keeps them short', () => {
  const all = [0, 0.44, 4.4, 42, 420, 35_000, 720_000, 19_800_000, 260_000_000]
  expect(all.map(duration)).toEqual([
    '0 ms',
    '0.4 ms',
    '4.4 ms',
    '42 ms',
    '0.4 s',
    '35 s',
    '12 min',
    '5.5 h',
    '3 d',
  ])
})

test('steps of a history can be told apart', () => {
  expect([0, 140, 1930, 182_200, 18_720_000].map(span)).toEqual([
    '0 ms',
    '140 ms',
    '1.93 s',
    '3 min 2.2 s',
    '5 h 12 min',
  ])
})

test('times are relative, and change once a second', () => {
  const now = 1_795_295_011_000
  expect([0, 999, 1000, 35_999, -500, -120_000].map(ms => relative(now - ms, now))).toEqual([
    'just now',
    'just now',
    '1 s ago',
    '35 s ago',
    'in a moment',
    'in 2 min',
  ])
  expect(exact(1_795_295_011_073)).toBe('2026-11-21 21:03:31.073 UTC')
  expect(exact(Number.NaN)).toBe('–')
})

test('an id tells its time', () => {
  expect(timeOfId('1795295011073-3')).toBe(1_795_295_011_073)
  expect(timeOfId('4711')).toBeUndefined()
})

test('a phrase is a sentence', () => {
  expect(['no route', 'It is.', 'why?'].map(sentence)).toEqual(['No route.', 'It is.', 'Why?'])
})

test('texts are cut and payloads laid out', () => {
  expect([cut('abc', 3), cut('abcd', 3)]).toEqual(['abc', 'ab…'])
  expect([pretty('{"a":1}'), pretty('{broken')]).toEqual(['{\n  "a": 1\n}', '{broken'])
})
