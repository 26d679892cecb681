import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { flush, forget, inspect, purgeDeadLetter, replayDeadLetter } from '@conveyor/stream'
import { expect, test } from 'vitest'
import { type Bench, bench, done, settle, until, useRedis } from '../tests/redis.ts'
import type { Verdict } from './contract.ts'
import { Judge } from './judge.ts'

const on = useRedis()
const failure = { reason: 'handler failed', detail: 'it broke' } as const

/** A stream of ten packages, of which `a` commits some. */
async function begin() {
  const b = await bench(on)
  await b.fill(10)
  const session = await b.open('a')
  const judge = new Judge(b.keys, b.directory)
  const look = async () => judge.look(b.redis, await inspect(b.redis, b.keys))
  return { b, session, look, judge }
}

const lines = (numbers: readonly number[]) => {
  let next = 0
  return () => `Consumer a processed package ${numbers[next++]} (timestamp: 1)`
}

async function path(b: Bench): Promise<string> {
  return join(b.directory, 'runs', (await b.redis.hget(b.keys.head, 'epoch')) ?? '', 'consumer_a.txt')
}

const settled = (look: () => Promise<Verdict>, condition: (verdict: Verdict) => boolean, what: string) =>
  until(async () => {
    const verdict = await look()
    return condition(verdict) ? verdict : undefined
  }, what) as Promise<Verdict>

test('what is on its way is no gap, wherever it is', async () => {
  const { b, session, look } = await begin()
  expect(await look()).toMatchObject({ state: 'exact', produced: 10, committed: 0, waiting: 10 })
  const entries = await b.receive('a', 6)
  const [one, two, three, four] = entries as [string, string, string, string]
  await settle(session, [
    ...done([one, three], lines([1, 3])),
    { entry: two, kind: 'retry', package: 2, delay: 3600_000, ...failure },
    { entry: four, kind: 'dead', package: 4, ...failure } as never,
  ])
  await flush(b.redis, b.keys, b.directory)
  for (let round = 0; round < 6; round++)
    expect(await look()).toMatchObject({ state: 'exact', committed: 2, waiting: 7, dead: 1, gaps: 0 })
  expect((await look()).judgedTo).toBe(6) // 5 and 6 are pending

  const [letter] = (await b.redis.xrange(b.keys.dead, '-', '+')).map(([id]) => id)
  await replayDeadLetter(b.redis, b.keys, letter as string)
  for (let round = 0; round < 6; round++)
    expect(await look()).toMatchObject({ state: 'exact', waiting: 8, dead: 0, gaps: 0 })
})

test('a package that was settled and has no line is a gap, and is none once the line is there', async () => {
  const { b, session, look } = await begin()
  await settle(session, done(await b.receive('a', 10), lines([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])))
  expect(await look()).toMatchObject({ state: 'exact', committed: 0, waiting: 10 }) // not on the disk yet
  await flush(b.redis, b.keys, b.directory)
  expect(await settled(look, ({ judgedTo }) => judgedTo === 10, 'all is judged')).toMatchObject({
    state: 'exact',
    committed: 10,
    waiting: 0,
  })
  const file = await path(b)
  const whole = await readFile(file, 'utf8')
  await writeFile(file, whole.split('\n').toSpliced(3, 2).join('\n'))
  const red = await settled(look, ({ state }) => state === 'violated', 'two lines are missed')
  expect(red).toMatchObject({ gaps: 2, offender: { kind: 'gap', package: 4 } })
  await writeFile(file, whole)
  expect(await look()).toMatchObject({ state: 'exact', gaps: 0 })
  await appendFile(file, 'Consumer a processed package 4 (timestamp: 1)\n')
  await settled(
    look,
    ({ duplicates, offender }) => duplicates === 1 && offender?.package === 4,
    'a doubled line',
  )
})

test('a dead letter in a file, a purged one; another run', async () => {
  const { b, session, look } = await begin()
  const [one, two, ...rest] = (await b.receive('a', 10)) as [string, string]
  await settle(session, [
    { entry: one, kind: 'dead', package: 1, ...failure } as never,
    { entry: two, kind: 'dead', package: 2, ...failure } as never,
    ...done(rest, lines([1, 4, 5, 6, 7, 8, 9, 10])),
  ])
  await flush(b.redis, b.keys, b.directory)
  const red = await settled(look, ({ gaps }) => gaps > 0, '3 is missed')
  expect(red).toMatchObject({ deadProcessed: 1, offender: { kind: 'dead in a file', package: 1 } })
  const [, letter] = (await b.redis.xrange(b.keys.dead, '-', '+')).map(([id]) => id)
  await purgeDeadLetter(b.redis, b.keys, letter as string)
  await settled(look, ({ purged, gaps }) => purged === 1 && gaps === 1, 'it is purged')
  await forget(b.redis, b.keys)
  expect((await look()).state).toBe('unknown')
  await b.fill(3)
  expect(await look()).toMatchObject({ state: 'exact', produced: 3, waiting: 3, gaps: 0, duplicates: 0 })
})

test('files that cannot be judged, or are elsewhere', async () => {
  const { b, session, look } = await begin()
  await settle(session, done(await b.receive('a', 10), lines([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])))
  await flush(b.redis, b.keys, b.directory)
  await mkdir(join(await path(b), '..', 'consumer_b c.txt'))
  expect(await look()).toMatchObject({
    by: 'redis',
    state: 'exact',
    note: expect.stringContaining('consumer id'),
  })
  const elsewhere = new Judge(b.keys, join(b.directory, 'nowhere'))
  expect(await elsewhere.look(b.redis, await inspect(b.redis, b.keys))).toMatchObject({
    by: 'redis',
    note: expect.stringContaining('there are no files of run'),
  })
})
