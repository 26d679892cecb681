import { expect, test } from 'vitest'
import { VitalSigns } from './vitals.ts'

test('percentiles are those of the last while, a quarter off at most', () => {
  let now = 0
  const vitals = new VitalSigns(() => now)
  const take = () => {
    now += 1000
    const text = vitals.take()
    return text && JSON.parse(text)
  }
  expect(take()).toEqual({ p50: null, p99: null, max: null, redelivered: 0, package: null })
  expect(take()).toBe('')
  for (let ms = 1; ms <= 1000; ms++) vitals.add(ms, ms)
  const { p50, p99, max, package: last } = take()
  expect([max, last]).toEqual([1000, 1000])
  expect(p50).toBeGreaterThan(400)
  expect(p50).toBeLessThan(625)
  expect(p99).toBeGreaterThan(790)
  vitals.add(0)
  vitals.redelivered++
  expect(vitals.take()).toBe('') // too soon
  expect(take()).toEqual({ p50: 0, p99: 0, max: 0, redelivered: 1, package: 1000 })
})
