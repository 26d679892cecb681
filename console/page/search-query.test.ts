import { expect, test } from 'vitest'
import { highlighted, searchOf, whereTo } from './search-query.ts'

test.each([
  ['4711', '#/message/4711'],
  [' 1,234,567 ', '#/message/1234567'],
  ['#12', '#/message/12'],
  ['1795295011073-3', '#/search?id=1795295011073-3'],
  ['100 - 200', '#/search?packages=100-200'],
  ['no route', '#/search?text=no+route'],
  ['0', '#/search?text=0'],
])('%j leads to %s', (typed, href) => expect(whereTo(typed)).toBe(href))

test('nothing leads nowhere', () => expect(whereTo('  ')).toBeUndefined())

test('an address is a search', () => {
  const read = (query: string) => searchOf(new URLSearchParams(query))
  expect(read('').search).toBeNull()
  expect(read('state=nonsense').search).toBeNull()
  expect(read('state=dead&consumer=c1&text=%20no%20route').search).toEqual({
    state: 'dead',
    consumer: 'c1',
    text: 'no route',
  })
  expect(read('packages=9-3&text=x&id=7')).toMatchObject({
    search: null,
    errors: { packages: /./, text: /./, id: /./ },
  })
})

test('what was found is told apart', () => {
  expect(highlighted('No route, no ROUTE!', 'no route')).toEqual(['', 'No route', ', ', 'no ROUTE', '!'])
  expect(highlighted('abc', undefined)).toEqual(['abc'])
  expect(highlighted('<b>.*</b>', '.*')).toEqual(['<b>', '.*', '</b>'])
  expect(highlighted('İx x', 'x')).toEqual(['İx x'])
})
