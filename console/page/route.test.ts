import { expect, test } from 'vitest'
import { hrefOf, parseRoute } from './route.ts'

test('an address names a page, what it is about, and how it is narrowed', () => {
  expect(parseRoute('#/message/4711')).toEqual({ page: 'message', id: '4711', query: {} })
  expect(parseRoute('#/dead?reason=handler+failed&minReplays=3')).toEqual({
    page: 'dead',
    id: '',
    query: { reason: 'handler failed', minReplays: '3' },
  })
})

test.each(['', '#', '#/', '#/nonsense', '#//', '#/%'])('%j shows the overview', hash => {
  expect(parseRoute(hash).page).toBe('overview')
})

test('an address is read as it was written', () => {
  const id = 'consumer/1 <b>?&#%'
  expect(parseRoute(hrefOf('message', id))).toEqual({ page: 'message', id, query: {} })
  const query = { reason: 'a&b=c', error: 'x#y?z' }
  expect(parseRoute(hrefOf('dead', '', query))).toEqual({ page: 'dead', id: '', query })
  expect(hrefOf('overview')).toBe('#/')
  expect(hrefOf('dead', '', { reason: '', error: undefined })).toBe('#/dead')
})
