import { lastValueFrom, toArray } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, until, useRedis } from '../tests/redis.ts'
import { commandLineUser, lastActions, recordAction } from './actions.ts'
import { consume } from './consume.ts'
import { control, controls, NotThere } from './control.ts'
import { RetryLater } from './failure.ts'
import type { Handler } from './handle.ts'
import { inspect } from './inspect.ts'
import { retryNow } from './retry-now.ts'

const on = useRedis()

function consuming(b: Bench, id: string, handler: Handler = () => {}) {
  const ended = lastValueFrom(consume({ ...b.options(id), handler }).pipe(toArray()))
  ended.catch(() => {})
  onTestFinished(() => b.stop.abort())
  return ended
}

const done = async (b: Bench) => (await inspect(b.redis, b.keys)).done
const told = (b: Bench, what: string | undefined) =>
  until(() => b.of('controlled').at(-1)?.control === what && b.of('controlled').length > 0, `told ${what}`)

test('a paused consumer finishes what it has, takes nothing more, and goes on when it is told', async () => {
  const b = await bench(on)
  await b.fill(5)
  void consuming(b, 'a')
  await until(async () => (await done(b)) === 5, '5 are done')
  await control(b.redis, b.keys, 'a', 'paused')
  await told(b, 'paused')
  await b.fill(1) // a read that was under way may still bring it
  const beats = () => b.redis.hget(b.keys.beats, 'a').then(Number)
  const from = await beats()
  await until(async () => (await beats()) > from + 10, 'reads under way are over')
  const before = await done(b)
  await b.fill(20)
  const then = await beats()
  await until(async () => (await beats()) > then + 10, 'it has had the time')
  expect(await done(b)).toBe(before)
  expect((await controls(b.redis, b.keys)).control).toEqual(new Map([['a', 'paused']]))
  await control(b.redis, b.keys, 'a', undefined)
  await until(async () => (await done(b)) === 26, 'all are done')
  const p50 = async () => (await controls(b.redis, b.keys)).vitals.get('a')?.p50
  await until(async () => typeof (await p50()) === 'number', 'it says how it fares')
})

test('a consumer that drains settles what it has, ends, and may come back', async () => {
  const b = await bench(on)
  await b.fill(3)
  const ended = consuming(b, 'a')
  await until(async () => (await done(b)) === 3, '3 are done')
  await control(b.redis, b.keys, 'a', 'draining')
  await ended
  const state = await inspect(b.redis, b.keys)
  expect(state).toMatchObject({ pending: 0, unflushed: 0 })
  expect(await b.redis.hgetall(b.keys.control)).toEqual({})
  await expect(control(b.redis, b.keys, 'a', 'draining')).rejects.toThrow(NotThere)
  await b.fill(2)
  void consuming(b, 'a')
  await until(async () => (await done(b)) === 5, 'it came back')
})

test('what waits for another attempt is tried at once', async () => {
  const b = await bench(on)
  await b.fill(1)
  void consuming(b, 'a', ({ attempt }) => {
    if (attempt === 1) throw new RetryLater(3600_000)
  })
  await until(async () => (await inspect(b.redis, b.keys)).waiting === 1, 'it waits')
  expect(await retryNow(b.redis, b.keys, 2)).toBe(false)
  expect(await retryNow(b.redis, b.keys, 1)).toBe(true)
  await until(async () => (await done(b)) === 1, 'it is done')
  expect(await retryNow(b.redis, b.keys, 1)).toBe(false)
})

test('what people do is on record, newest first', async () => {
  const b = await bench(on)
  const who = commandLineUser()
  await recordAction(b.redis, b.keys, { who, action: 'retry', what: 'package 1', count: 1, command: 'a' })
  await recordAction(b.redis, b.keys, {
    who,
    action: 'purge',
    what: 'x'.repeat(9000),
    count: 7,
    command: 'b',
  })
  const [last, first] = await lastActions(b.redis, b.keys, 5)
  expect(first).toMatchObject({ who, action: 'retry', what: 'package 1', count: 1, command: 'a' })
  expect(last).toMatchObject({ action: 'purge', count: 7, what: 'x'.repeat(2000) })
})
