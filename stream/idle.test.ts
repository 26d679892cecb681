import { expect, test } from 'vitest'
import { Held } from './held.ts'
import { IdleTime } from './idle.ts'
import type { Blocked } from './measure-consumer.ts'

test('counts from a beginning to its end, and what is running just now', () => {
  let now = 1000
  const idle = new IdleTime(0, () => now)
  expect(idle.seconds).toBe(0)
  idle.start()
  now += 500
  expect(idle.seconds).toBe(0.5)
  idle.start()
  now += 1500
  idle.stop()
  expect(idle.seconds).toBe(2)
  now += 1000
  idle.stop()
  expect(idle.seconds).toBe(2)
})

test('goes on from what earlier sessions have counted, and not after its end', () => {
  let now = 0
  const first = new IdleTime(0, () => now)
  first.start()
  now += 3000
  first.end()
  now += 1000
  first.start()
  now += 1000
  const second = new IdleTime(first.seconds, () => now)
  expect(second.seconds).toBe(3)
  second.start()
  now += 1000
  expect([first.seconds, second.seconds]).toEqual([3, 4])
})

test('a consumer is idle while it holds nothing and is free to read', () => {
  let now = 0
  let blocked: Blocked | undefined
  const held = new Held(10, 1000, () => blocked, new IdleTime(0, () => now))
  /** Seconds of the next one that were idle. */
  const next = () => {
    const { idle: before } = held.load
    now += 1000
    return held.load.idle - before
  }
  expect(next()).toBe(0)
  held.changed()
  expect(next()).toBe(1)
  held.idle.stop()
  held.add('1-1', 1)
  held.add('1-2', 1)
  expect(next()).toBe(0)
  held.settle('1-1')
  held.changed()
  expect(next()).toBe(0)
  held.settle('1-2')
  held.changed()
  expect(next()).toBe(1)
  for (const reason of ['disk', 'next'] as const) {
    blocked = reason
    held.changed()
    expect(next(), reason).toBe(0)
    blocked = undefined
    held.changed()
    expect(next(), reason).toBe(1)
  }
})
