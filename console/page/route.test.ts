import { expect, test } from 'vitest'
import { hrefOf, parseRoute } from './route.ts'

const read = (hash: string) => {
  const { page, id, query } = parseRoute(hash)
  return { page, id, query: [...query] }
}

test('an address names a page, what it is about, and how it is narrowed', () => {
  expect(read('#/message/4711')).toEqual({ page: 'message', id: '4711', query: [] })
  expect(read('#/dead?reason=handler+failed&reason=rejected')).toEqual({
    page: 'dead',
    id: '',
    query: [
      ['reason', 'handler failed'],
      ['reason', 'rejected'],
    ],
  })
})

test.each(['', '#', '#/', '#/nonsense', '#//', '#/%'])('%j shows the overview', hash => {
  expect(parseRoute(hash).page).toBe('overview')
})

test('an address is read as it was written', () => {
  const id = 'consumer/1 <b>?&#%'
  expect(read(hrefOf('message', id))).toEqual({ page: 'message', id, query: [] })
  expect(read(hrefOf('dead', '', { reason: ['a&b=c', 'd'], error: 'x#y?z' })).query).toEqual([
    ['reason', 'a&b=c'],
    ['reason', 'd'],
    ['error', 'x#y?z'],
  ])
  expect(hrefOf('overview')).toBe('#/')
  expect(hrefOf('dead', '', { reason: [], error: '', text: undefined })).toBe('#/dead')
})
