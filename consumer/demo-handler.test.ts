import { type HandlerContext, type Message, Reject } from '@conveyor/stream'
import { expect, test } from 'vitest'
import demo from './demo-handler.ts'

/** What it does with a payload at an attempt: the text that it throws, or `done`. */
function at(attempt: number, payload: Record<string, unknown>): string {
  try {
    const line = demo(
      { package: payload.package ?? 1, payload: { package: 1, ...payload } } as unknown as Message,
      {
        attempt,
      } as HandlerContext,
    )
    return line === undefined ? 'done' : String(line)
  } catch (error) {
    return `${error instanceof Reject ? 'rejected: ' : ''}${(error as Error).message}`
  }
}

test.each([{}, { type: 'test' }, { type: 'success' }])('%o succeeds at once', payload => {
  expect(at(1, payload)).toBe('done')
})

test('retry fails twice, or as often as it says', () => {
  expect(at(1, { type: 'retry' })).toBe('attempt 1 of the 3 that it needs')
  expect(at(2, { type: 'retry' })).toBe('attempt 2 of the 3 that it needs')
  expect(at(3, { type: 'retry' })).toBe('done')
  expect(at(4, { type: 'retry', fails: 4 })).toBe('attempt 4 of the 5 that it needs')
  expect(at(5, { type: 'retry', fails: 4 })).toBe('done')
  expect(at(1, { type: 'retry', fails: 0 })).toBe('done')
})

test('of what came by HTTP the body says', () => {
  expect(at(1, { body: { type: 'retry', fails: 1 } })).toBe('attempt 1 of the 2 that it needs')
  for (const body of [null, 'fail', 7, [1]]) expect(at(1, { body })).toBe('done')
})

test.each([
  ['6 * 7', 42],
  ['-1.5+2', 0.5],
  [' 1 / 4 ', 0.25],
  ['3 - -3', 6],
])('the query %s has the answer %i', (query, result) => {
  for (const payload of [{ query }, { body: { query } }])
    expect(demo({ payload } as unknown as Message, { attempt: 1 } as HandlerContext)).toEqual({
      query,
      result,
    })
})

test.each(['1 / 0', '1 +', '', 'one + one', '1 + 1; process.exit()', 7, null])(
  'the query %j is rejected',
  query => {
    expect(at(1, { body: { query } })).toMatch(/^rejected: query /)
  },
)

test('fail never succeeds', () => {
  expect(at(1, { type: 'fail' })).toBe('this package always fails')
  expect(at(1000, { type: 'fail' })).toBe('this package always fails')
})

test('an order that passes its check succeeds with the attempt that it names', () => {
  for (const attempts of [1, 2, 3, 4, 5]) {
    const order = { type: 'order', security_check: true, attempts }
    if (attempts > 1)
      expect(at(attempts - 1, order)).toBe(`attempt ${attempts - 1} of the ${attempts} that it needs`)
    expect(at(attempts, order)).toBe('done')
  }
})

test('one that names no attempts needs 1 to 5, by its id or else by its package', () => {
  const needed = (order: object) =>
    [1, 2, 3, 4, 5].find(attempt => at(attempt, { security_check: true, ...order }) === 'done')
  expect([10, 11, 12, 13, 14, 15].map(id => needed({ id }))).toEqual([1, 2, 3, 4, 5, 1])
  expect([0, 5].map(number => needed({ package: number + 3 }))).toEqual([4, 4])
  for (const id of ['order-7', -1, 1.5, 2 ** 60, null]) expect(needed({ id, package: 9 })).toBe(5)
  expect(needed({ id: 14, attempts: 2 })).toBe(2)
  expect(at(3, { body: { source: 'system-1', id: 13, security_check: true } })).toContain('of the 4')
})

test('one that does not pass needs one attempt more than are usually allowed, whatever it names', () => {
  for (const order of [{ security_check: false }, { type: 'order', security_check: false, attempts: 1 }]) {
    expect(at(5, order)).toBe('attempt 5 of the 6 that it needs')
    expect(at(6, order)).toBe('done')
  }
})

test.each([
  [{ type: 'late' }, 'rejected: type "late": test, success, retry, fail or order is allowed'],
  [{ type: 7 }, 'rejected: type 7: test, success, retry, fail or order is allowed'],
  [{ type: 'order' }, 'rejected: security_check undefined: true or false is allowed'],
  [{ type: 'order', security_check: 'yes' }, 'rejected: security_check "yes": true or false is allowed'],
  [{ type: 'retry', fails: -1 }, 'rejected: fails -1: a whole number is allowed'],
  [{ security_check: true, attempts: 'two' }, 'rejected: attempts "two": a whole number is allowed'],
])('%o can never be handled', (payload, text) => {
  expect(at(1, payload)).toBe(text)
})
