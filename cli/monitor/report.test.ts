import { readFile } from 'node:fs/promises'
import { inspect, Liveness, Rates } from '@conveyor/stream'
import { expect, test } from 'vitest'
import { type Bench, bench, done, settle, useRedis } from '../../tests/redis.ts'
import { counters, reportOf, type Seen } from './report.ts'

const on = useRedis()

async function report(b: Bench): Promise<Seen> {
  const [liveness, rates] = [new Liveness(5), new Rates()]
  const state = await inspect(b.redis, b.keys)
  liveness.see(state.consumers)
  rates.add(counters(state))
  return reportOf('redis://user:secret@host:1', b.keys, state, liveness, rates) as Seen
}

test('a stream that was never begun', async () => {
  const b = await bench(on)
  expect(await report(b)).toMatchObject({ status: 'no-stream', redis: 'redis://***@host:1' })
})

test('whatever happens to packages, they add up to what was given out', async () => {
  const b = await bench(on)
  await b.fill(10)
  const session = await b.open('a')
  const [first, second, third, ...rest] = await b.receive('a', 7)
  const failure = { reason: 'handler failed', detail: 'it broke' }
  await settle(session, [
    ...done([first as string]),
    { entry: second as string, kind: 'dead', ...failure },
    { entry: third as string, kind: 'retry', delay: 60_000, ...failure },
  ])
  expect((await report(b)).balance).toEqual({
    givenOut: 10,
    committed: 1,
    deadLetters: 1,
    purged: 0,
    waiting: 1,
    pending: 4,
    undelivered: 3,
    unaccounted: null,
  })
  await b.receive('a', 10)
  const now = await report(b)
  expect(now.balance).toMatchObject({ pending: 7, undelivered: 0, unaccounted: 0 })
  expect(now.retries.nextDue).toBeGreaterThan(50)
  expect(now.deadLetters).toEqual({ reasons: { 'handler failed': 1 }, all: 1 })
  expect(now.consumers[0]).toMatchObject({
    id: 'a',
    state: 'unknown',
    pending: 7,
    deliveries: 1,
    processed: 1,
  })
  expect(now.lag.seconds).toBe(now.consumers[0]?.oldestPending)

  await b.redis.xack(b.keys.stream, b.keys.group, rest[0] as string) // behind everybody's back
  expect((await report(b)).balance.unaccounted).toBe(1)
  await b.redis.xadd(b.keys.stream, '*', 'by', 'others')
  await b.receive('a', 1)
  expect((await report(b)).balance.unaccounted).toBe(0)
})

test('ages are those of entries, by Redis’ clock', async () => {
  const b = await bench(on)
  await b.open('a')
  await b.redis.xadd(b.keys.stream, '1000-0', 'data', 'x')
  const { lag, first, floor } = await report(b)
  expect(lag.seconds).toBeGreaterThan(1e9)
  expect(first).toEqual({ entry: '1000-0', age: lag.seconds })
  expect(floor).toEqual({ entry: '1000-0', age: lag.seconds, group: 'workers' })
})

test('docs/cli.md names every field', async () => {
  const b = await bench(on)
  await b.fill(1)
  await b.open('a')
  const text = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8')
  for (const path of paths(await report(b))) expect(text, path).toContain(`| \`${path}\` |`)
})

function paths(value: object, before = ''): string[] {
  return Object.entries(value).flatMap(([name, inner]) => {
    const path = `${before}${name}`
    if (Array.isArray(inner))
      return [path, ...inner.slice(0, 1).flatMap(one => paths(Object(one), `${path}[].`))]
    return [path, ...(typeof inner === 'object' && inner !== null ? paths(inner, `${path}.`) : [])]
  })
}
