import { expect, test } from 'vitest'
import { identity } from './identity.ts'

test("is the first 8 characters of a container's id", () => {
  expect(identity('4f2a9c01d3e7')).toBe('4f2a9c01')
})

test('is random elsewhere: cut host names would collide', () => {
  for (const host of ['consumer-1', 'deadbeef', 'ABCDEF012345', '4f2a9c01d3e7aa']) {
    expect(identity(host)).toMatch(/^[0-9a-f]{8}$/)
    expect(identity(host)).not.toBe(identity(host))
  }
})
