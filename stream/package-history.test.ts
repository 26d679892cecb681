import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, settle, until, useRedis } from '../tests/redis.ts'
import { consume } from './consume.ts'
import { deadLetters, purgeDeadLetter, replayDeadLetter } from './dead-letters.ts'
import { Reject } from './failure.ts'
import type { Handler } from './handle.ts'
import { runsOf, type Transition } from './history.ts'
import { inspect } from './inspect.ts'
import type { Outcome } from './outcome.ts'
import { packageHistory, packageOfEntry } from './package-history.ts'
import type { Settings } from './settings.ts'

const on = useRedis()

async function consumed(b: Bench, handler: Handler, settings: Partial<Settings>, consumer = 'a') {
  const options = { ...b.options(consumer, { retryDelay: 10, ...settings }), handler }
  const run = consume(options).subscribe()
  onTestFinished(() => run.unsubscribe())
  await until(async () => (await inspect(b.redis, b.keys)).drained, 'drained')
  return run
}

const events = (transitions: Transition[]) => transitions.map(({ event }) => event)
const story = (b: Bench, number: number) => packageHistory(b.redis, b.keys, number)

/** The line of the file that a transition names. */
async function lineOf(b: Bench, transition: Transition | undefined): Promise<string | undefined> {
  if (transition?.event !== 'committed' || transition.offset === undefined) return undefined
  const bytes = await readFile(join(b.directory, `consumer_${transition.consumer}.txt`))
  return bytes.subarray(transition.offset).toString().split('\n')[transition.line ?? 0]
}

test('of a package that failed, the story is kept; of others it is not', async () => {
  const b = await bench(on)
  const entries = await b.fill(3)
  await consumed(
    b,
    ({ package: n, attempt }) => {
      if (n === 2 && attempt < 3) throw new Error(`no ${attempt}`)
    },
    { history: 'failures' },
  )
  const found = await story(b, 2)
  expect(events(found)).toEqual([
    'appended',
    ...['delivered', 'failed', 'returned'],
    ...['delivered', 'failed', 'returned'],
    ...['delivered', 'committed'],
  ])
  expect(found[0]).toEqual({
    event: 'appended',
    entry: entries[1],
    at: Number.parseInt(entries[1] as string, 10),
  })
  expect(found[2]).toMatchObject({
    consumer: 'a',
    attempt: 1,
    reason: 'handler failed',
    detail: 'Error: no 1',
  })
  expect(found.at(-1)).toMatchObject({ consumer: 'a', attempt: 3 })
  expect(await lineOf(b, found.at(-1))).toBe('Consumer a processed package 2 (timestamp: 1753553379)')
  const times = found.map(({ at }) => at)
  expect(times).toEqual([...times].sort((x, y) => x - y))
  expect([await story(b, 1), await story(b, 3)]).toEqual([[], []])
  expect(await b.redis.exists(b.keys.history)).toBe(0)
  expect(await b.redis.pttl(b.keys.historyOf(2))).toBeGreaterThan(23 * 3600_000)
})

test('a dead letter, its replay, and its purge are part of the story', async () => {
  const b = await bench(on)
  await b.fill(1)
  const run = await consumed(
    b,
    () => {
      throw new Reject('never')
    },
    { history: 'failures' },
  )
  run.unsubscribe()
  const letter = async () => {
    for await (const { id } of deadLetters(b.redis, b.keys)) return id
    throw new Error('no letter')
  }
  await replayDeadLetter(b.redis, b.keys, await letter())
  await consumed(
    b,
    () => {
      throw new Reject('still never')
    },
    { history: 'failures' },
    'b',
  )
  await purgeDeadLetter(b.redis, b.keys, await letter())
  expect(events(await story(b, 1))).toEqual([
    'appended',
    ...['delivered', 'dead', 'replayed'],
    ...['delivered', 'dead', 'purged'],
  ])
})

test('being taken over from a dead consumer is noted, and who finished it', async () => {
  const b = await bench(on)
  await b.fill(2)
  const session = await b.open('dying')
  await b.receive('dying', 2)
  session.dispose()
  await consumed(b, () => {}, { history: 'failures' }, 'heir')
  const found = await story(b, 2)
  expect(events(found)).toEqual(['appended', 'claimed', 'delivered', 'committed'])
  expect(found[1]).toMatchObject({ consumer: 'heir', from: 'dying' })
  expect(await lineOf(b, found[3])).toContain('processed package 2 ')
})

test('with everything kept, every package is found, and in the line that it has', async () => {
  const b = await bench(on)
  const entries = await b.fill(2500)
  await consumed(
    b,
    ({ package: n, attempt }) => {
      if (n % 100 === 0 && attempt === 1) throw new Error('once')
    },
    { history: 'all', batch: 70 },
  )
  for (const number of [1, 2, 69, 70, 71, 99, 100, 101, 1234, 2400, 2499, 2500]) {
    const found = await story(b, number)
    expect(found.at(-1)?.event, String(number)).toBe('committed')
    expect(await lineOf(b, found.at(-1))).toContain(`processed package ${number} `)
    expect(found[0]).toMatchObject({ event: 'appended', entry: entries[number - 1] })
    expect(await packageOfEntry(b.redis, b.keys, entries[number - 1] as string)).toBe(number)
  }
  expect(await story(b, 2501)).toEqual([])
  await b.redis.xtrim(b.keys.stream, 'MAXLEN', 0)
  expect(await packageOfEntry(b.redis, b.keys, entries[1233] as string)).toBe(1234)
  expect(await packageOfEntry(b.redis, b.keys, '5-5')).toBeUndefined()
})

test('a commit of which a part was refused still tells who has which line', async () => {
  const b = await bench(on)
  const entries = await b.fill(6)
  const session = await b.open('a', { history: 'all' })
  await b.receive('a', 6)
  await b.redis.xclaim(b.keys.stream, b.keys.group, 'peer', 0, entries[1] as string, entries[4] as string)
  const outcomes = entries.map(
    (entry, i): Outcome => ({ entry, package: i + 1, kind: 'done', line: `package ${i + 1}`, received: 7 }),
  )
  expect(await settle(session, outcomes)).toMatchObject({ done: 4, fenced: 2 })
  await session.writer?.flush()
  expect(await lineOf(b, (await story(b, 6)).at(-1))).toBe('package 6')
  expect(await lineOf(b, (await story(b, 3)).at(-1))).toBe('package 3')
  expect(await story(b, 2)).toEqual([])
})

test('nothing is kept when it is off, and what is kept is trimmed by time', async () => {
  const b = await bench(on)
  await b.fill(10)
  const handler: Handler = ({ attempt }) => {
    if (attempt === 1) throw new Error('once')
  }
  const run = await consumed(b, handler, { history: 'off' })
  run.unsubscribe()
  expect(await b.redis.keys(`${b.keys.history}*`)).toEqual([])
  const session = await b.open('b', { history: 'all', historyTtl: 1000 })
  // Redis lets go of whole nodes, of 100 entries each.
  for (let i = 1; i <= 150; i++)
    await b.redis.xadd(
      b.keys.history,
      `1-${i}`,
      'consumer',
      'x',
      'start',
      '0',
      'done',
      '1-0:1:1:1',
      'fenced',
      '',
    )
  await b.redis.xadd(b.keys.stream, '*', 'data', '{"timestamp_producer":1,"payload":{"package":11}}')
  const [entry] = (await b.receive('b', 1)) as [string]
  await settle(session, [{ entry, package: 11, kind: 'done', line: 'x', received: 1 }])
  expect((await b.redis.xrange(b.keys.history, '1-1', '1-1')).length).toBe(0)
})

test('runs are broken where the next entry is not the next in every way', () => {
  const done = (entry: string, number: number, received = 9): Outcome => ({
    entry,
    package: number,
    kind: 'done',
    line: '',
    received,
  })
  const dead: Outcome = { entry: '5-3', kind: 'dead', reason: 'x', detail: '' }
  expect(runsOf([done('5-0', 1), done('5-1', 2), done('5-2', 3), dead, done('5-4', 5), done('6-0', 6)])).toBe(
    '5-0:1:3:9 5-4:5:1:9 6-0:6:1:9',
  )
  expect(runsOf([done('5-0', 1), done('5-1', 3), done('5-2', 4, 10)])).toBe('5-0:1:1:9 5-1:3:1:9 5-2:4:1:10')
  expect(runsOf([dead])).toBe('')
})
