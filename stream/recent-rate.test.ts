import { expect, test } from 'vitest'
import { RecentRate } from './recent-rate.ts'

test('what there is in a second, from the first one on', () => {
  let now = 12_345
  const rate = new RecentRate(() => now)
  expect(rate.perSecond).toBe(0)
  for (let tenth = 1; tenth <= 200; tenth++) {
    now += 100
    rate.add(10)
    if (tenth > 10) expect(Math.round(rate.perSecond / 10), `after ${tenth} tenths of a second`).toBe(10)
  }
})

test('a burst is no rate before there was a second, and is forgotten after five', () => {
  let now = 0
  const rate = new RecentRate(() => now)
  now = 10
  rate.add(100)
  expect(rate.perSecond).toBe(100)
  now = 2000
  expect(rate.perSecond).toBe(50)
  now = 4999
  expect(rate.perSecond).toBeCloseTo(20, 1)
  now = 5000
  expect(rate.perSecond).toBe(0)
})

test('a process that stood still for long has nothing to look back upon', () => {
  let now = 0
  const rate = new RecentRate(() => now)
  rate.add(100)
  now = 3600_000
  expect(rate.perSecond).toBe(0)
  rate.add(8)
  expect(rate.perSecond).toBe(2)
})
