import { expect, test } from 'vitest'
import type { Consumer, Delta, Seen, Snapshot, Verdict } from '../contract.ts'
import { extended, merged, NO_SERIES, POINTS } from './merge.ts'

const consumer = (id: string) =>
  ({ id, state: 'live', pending: 1, processed: 10, perSecond: 5, share: 0.5 }) as Consumer
const seen = {
  in: 1,
  out: 2,
  lag: { packages: 3, ms: 4 },
  latency: null,
  consumers: [consumer('c1'), consumer('c2')],
} as unknown as Seen
const verdict = { state: 'exact', produced: 20, offender: null } as Verdict
const snapshot = { number: 7, at: 1000, status: 'ok', seen, verdict } as Snapshot

const delta: Delta = {
  number: 7,
  at: 1250,
  in: 100,
  out: 90,
  lag: { packages: 10, ms: 20 },
  pending: 5,
  waiting: 6,
  unflushed: 7,
  verdict: {
    state: 'exact',
    text: 'new',
    produced: 30,
    committed: 29,
    waiting: 1,
    dead: 0,
    purged: 0,
    gaps: 0,
    duplicates: 0,
    unreadable: 0,
    unexpected: 0,
    deadProcessed: 0,
    note: null,
    offender: null,
  },
  consumers: [{ id: 'c2', state: 'silent', pending: 9, processed: 11, perSecond: 1 }],
}

test('a delta replaces what it names and nothing else', () => {
  const result = merged(snapshot, delta)
  expect(result).toMatchObject({
    number: 7,
    at: 1250,
    status: 'ok',
    verdict: { text: 'new', produced: 30, offender: null },
  })
  expect(result?.seen).toMatchObject({ in: 100, lag: { packages: 10 }, pending: 5, latency: null })
  expect(result?.seen?.consumers).toEqual([
    consumer('c1'),
    { ...consumer('c2'), state: 'silent', pending: 9, processed: 11, perSecond: 1 },
  ])
  expect(snapshot.seen?.consumers[1]).toEqual(consumer('c2'))
})

test('a delta of another snapshot, or of none, changes nothing', () => {
  expect(merged(snapshot, { ...delta, number: 6 })).toBe(snapshot)
  expect(merged(null, delta)).toBeNull()
  const away = { ...snapshot, seen: null }
  expect(merged(away, delta)).toBe(away)
})

test('series have a point a second, and only so many', () => {
  let series = extended(NO_SERIES, snapshot)
  expect(series).toMatchObject({ at: [1000], in: [1], out: [2], lag: [3], lagMs: [4], latency: [null] })
  expect(extended(series, { ...snapshot, at: 1250 })).toBe(series)
  expect(extended(series, { ...snapshot, at: 2000, seen: null })).toBe(series)
  for (let n = 1; n <= 400; n++) series = extended(series, { ...snapshot, at: 1000 + n * 1000 })
  expect([series.at.length, series.at[0], series.at.at(-1)]).toEqual([POINTS, 102_000, 401_000])
})
