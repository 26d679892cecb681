import { expect, test } from 'vitest'
import { bench, done, settle, until, useRedis } from '../tests/redis.ts'
import { returnDue } from './due.ts'
import { dueInFiles, unsettledAmong, waitingPackages } from './unsettled.ts'

const on = useRedis()
const failure = { reason: 'handler failed', detail: 'it broke' } as const

test('up to where packages must be in a file, whatever is under way', async () => {
  const b = await bench(on)
  expect(await dueInFiles(b.redis, b.keys)).toEqual({
    epoch: '',
    sequence: 0,
    top: 0,
    pending: [],
    files: new Map(),
  })
  await b.fill(6)
  const session = await b.open('a')
  const top = async () => (await dueInFiles(b.redis, b.keys)).top
  expect(await top()).toBe(0)
  const [first, second, third] = (await b.receive('a', 3)) as [string, string, string]
  await settle(session, done([first]))
  expect(await dueInFiles(b.redis, b.keys)).toMatchObject({ top: 3, pending: [2, 3] })
  expect(await unsettledAmong(b.redis, b.keys, new Set([1, 2, 3]))).toEqual(new Set([2, 3]))
  await settle(session, [
    { entry: second, kind: 'retry', package: 2, delay: 0, ...failure },
    ...done([third]),
  ])
  expect(await top()).toBe(3)
  expect((await dueInFiles(b.redis, b.keys)).files.get('a')).toMatchObject({ flushed: 0 })
  expect([...(await waitingPackages(b.redis, b.keys)).keys()]).toEqual([2])
  expect(await unsettledAmong(b.redis, b.keys, new Set([1, 2, 3]))).toEqual(new Set([2]))

  const returning = returnDue(session).subscribe()
  await until(async () => (await b.redis.zcard(b.keys.retry)) === 0, 'package 2 is back in the stream')
  returning.unsubscribe()
  expect(await unsettledAmong(b.redis, b.keys, new Set([1, 2, 3]))).toEqual(new Set([2]))
  await b.fill(2)
  const rest = await b.receive('a', 3) // 4, 5, 6
  await settle(session, done(rest))
  expect(await top()).toBe(6) // the next is 2 again; 7 and 8 come after it
  const [back] = (await b.receive('a', 1)) as [string]
  expect(await top()).toBe(6)
  expect(await unsettledAmong(b.redis, b.keys, new Set([2, 7]))).toEqual(new Set([2]))
  await settle(session, done([back]))
  expect(await unsettledAmong(b.redis, b.keys, new Set([2]))).toEqual(new Set())
  expect(await top()).toBe(6)
  await settle(session, done(await b.receive('a', 5)))
  expect(await dueInFiles(b.redis, b.keys)).toMatchObject({ sequence: 8, top: 8 })
})

test('entries of others are passed over, or said to hide what must be there', async () => {
  const b = await bench(on)
  await b.fill(1)
  const session = await b.open('a')
  await settle(session, done(await b.receive('a', 1)))
  await b.redis.xadd(b.keys.stream, '*', 'by', 'others')
  expect((await dueInFiles(b.redis, b.keys)).top).toBe(1)
  for (let i = 0; i < 60; i++) await b.redis.xadd(b.keys.stream, '*', 'by', 'others')
  expect((await dueInFiles(b.redis, b.keys)).top).toBeUndefined()
})
