import { expect, test } from 'vitest'
import { typedPayload } from './payload.ts'

test('an object is a payload, with its package or without', () => {
  expect(typedPayload('{"type":"success"}', 6)).toEqual({ payload: { type: 'success' } })
  expect(typedPayload('{"package":6}', 6)).toEqual({ payload: { package: 6 } })
})

test.each([
  ['', /no JSON/],
  ['{"a":', /no JSON/],
  ['[1]', /JSON object/],
  ['null', /JSON object/],
  ['{"package":7}', /stays 6/],
])('%j is none', (text, message) => {
  expect(typedPayload(text, 6).error).toMatch(message)
})
