import { expect, test } from 'vitest'
import { backoff } from './backoff.ts'

test('the wait grows from at most 100 ms to at most 2 s, and is never less than half of that', () => {
  for (const [attempt, most] of [
    [1, 100],
    [2, 200],
    [3, 400],
    [6, 2000],
    [20, 2000],
    [5000, 2000],
  ] as const) {
    for (let i = 0; i < 200; i++) {
      const wait = backoff(attempt)
      expect(wait).toBeGreaterThanOrEqual(most / 2)
      expect(wait).toBeLessThanOrEqual(most)
    }
  }
})

test('waits differ, so that consumers do not come back in step', () => {
  expect(new Set(Array.from({ length: 20 }, () => backoff(3))).size).toBeGreaterThan(1)
})
