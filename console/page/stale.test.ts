import { expect, test } from 'vitest'
import { freshness, STALE_AFTER } from './stale.ts'

test('what was heard of late is live', () => {
  expect(freshness(10_000, 'live', 10_000 + STALE_AFTER - 1)).toEqual({
    fresh: true,
    since: 10_000,
    text: 'live',
  })
})

test('silence makes it stale, since the last news', () => {
  const stale = freshness(10_000, 'live', 10_000 + STALE_AFTER)
  expect(stale).toMatchObject({ fresh: false, since: 10_000 })
  expect(stale.text).toMatch(/^nothing has come/)
  expect(freshness(10_000, 'away', 20_000).text).toMatch(/^the console does not answer/)
})

test('a page too many is told so at once', () => {
  expect(freshness(10_000, 'full', 10_001)).toMatchObject({ fresh: false })
  expect(freshness(null, 'full', 0).text).toMatch(/close another one/)
})

test('before the first news it is connecting', () => {
  expect(freshness(null, 'connecting', 5)).toEqual({ fresh: false, since: null, text: 'connecting' })
})
