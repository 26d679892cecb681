import { expect, test } from 'vitest'
import { Held } from './held.ts'

const held = (entries = 10, bytes = 1000, blocked: () => 'disk' | undefined = () => undefined) =>
  new Held(entries, bytes, blocked)

/** Whether a promise is settled by now. */
const settled = (promise: Promise<unknown>) =>
  Promise.race([promise.then(() => true), new Promise(resolve => setImmediate(() => resolve(false)))])

test('there is room for as many entries as may be held', () => {
  const h = held(2)
  expect(h.room).toBe(2)
  h.add('1-1', 1)
  h.add('1-2', 1)
  expect(h.room).toBe(0)
  h.settle('1-1')
  expect(h.room).toBe(1)
  expect([h.has('1-1'), h.has('1-2'), h.size]).toEqual([false, true, 1])
})

test('there is room until the bytes are reached, so that one entry of any size fits', () => {
  const h = held(10, 1000)
  expect(h.room).toBe(10)
  h.add('1-1', 999)
  expect(h.room).toBe(9)
  h.add('1-2', 5000)
  expect(h.room).toBe(0)
  h.settle('1-2')
  expect(h.room).toBe(9)
})

test('what is settled twice, or was never held, gives no room', () => {
  const h = held(10, 1000)
  h.add('1-1', 100)
  h.settle('1-1')
  h.settle('1-1')
  h.settle('9-9')
  expect(h.size).toBe(0)
  h.add('1-2', 999)
  expect(h.room).toBe(9)
  h.add('1-3', 1)
  expect(h.room).toBe(0)
})

test('nothing is taken while there is another reason', () => {
  let blocked: 'disk' | undefined = 'disk'
  const h = held(10, 1000, () => blocked)
  expect(h.room).toBe(0)
  blocked = undefined
  expect(h.room).toBe(10)
})

test('waiting ends at the change that makes it ready, for all that wait', async () => {
  const h = held(1)
  h.add('1-1', 1)
  const room = h.until(() => h.room > 0)
  const empty = h.until(() => h.size === 0)
  const never = h.until(() => false)
  h.changed()
  expect(await settled(room)).toBe(false)
  h.settle('1-1')
  expect(await settled(room)).toBe(false)
  h.changed()
  await Promise.all([room, empty])
  expect(await settled(never)).toBe(false)
})

test('waiting ends after its time at the latest, and at once when there is nothing to wait for', async () => {
  const h = held()
  await h.until(() => true)
  await h.until(() => false, 10)
  h.changed()
})
