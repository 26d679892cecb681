import { expect, test } from 'vitest'
import { Rates } from './rates.ts'

test('a rate is what was added over the last few seconds', () => {
  const rates = new Rates(3000)
  expect(rates.of('a')).toBeUndefined()
  rates.add([['a', 100]], 0)
  expect(rates.of('a')).toBeUndefined()
  rates.add([['a', 200]], 1000)
  expect(rates.of('a')).toBe(100)
  for (let at = 2000; at <= 6000; at += 1000) rates.add([['a', 200]], at)
  expect(rates.of('a')).toBe(0)
})

test('what comes later has a rate of its own, and looks may be far apart', () => {
  const rates = new Rates(3000)
  rates.add([['a', 0]], 0)
  rates.add(Object.entries({ a: 10, b: 0 }), 10_000)
  rates.add(Object.entries({ a: 20, b: 40 }), 20_000)
  expect([rates.of('a'), rates.of('b')]).toEqual([1, 4])
})

test('a new run begins anew', () => {
  const rates = new Rates()
  rates.add([['a', 1000]], 0)
  rates.add([['a', 5]], 1000)
  expect(rates.of('a')).toBeUndefined()
  rates.add([['a', 15]], 2000)
  expect(rates.of('a')).toBe(10)
})
