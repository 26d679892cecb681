import type { StreamState } from '@conveyor/stream'
import { expect, test } from 'vitest'
import { byCounts, type Found, verdictOf } from './verdict.ts'

const found = (more: Partial<Found> = {}): Found => ({
  run: 'r',
  at: 0,
  sequence: 1000,
  judgedTo: 990,
  bytes: 0,
  unique: 980,
  duplicated: 0,
  duplicates: [],
  gaps: [],
  above: { count: 0, lowest: undefined },
  unreadable: 0,
  firstUnreadable: undefined,
  dead: 5,
  purged: 0,
  deadProcessed: [],
  lost: 0,
  ...more,
})
const twice = (n: number) => ({
  package: n,
  times: 2,
  consumers: [
    { id: 'a', times: 1 },
    { id: 'b', times: 1 },
  ],
  moreConsumers: 0,
})
const line = { file: 'consumer_a.txt', line: 3, kind: 'no-match', text: 'x', bytes: 1 } as never

test('what was given out is in one of its places', () => {
  expect(verdictOf(found())).toMatchObject({
    state: 'exact',
    text: 'exactly once: produced 1,000 = committed 980 + waiting 15 + dead 5, gaps 0, duplicates 0',
    offender: null,
  })
  expect(verdictOf(found({ purged: 2 })).text).toContain('+ waiting 13 + dead 5 + purged 2, gaps 0')
})

test.for([
  [{ gaps: [7, 9] }, 'gap', 7],
  [{ duplicated: 1, duplicates: [twice(5)], gaps: [7] }, 'duplicate', 5],
  [{ duplicated: 1, duplicates: [twice(8)], gaps: [7] }, 'gap', 7],
  [{ above: { count: 2, lowest: 2000 } }, 'unexpected', 2000],
  [{ deadProcessed: [3], gaps: [7] }, 'dead in a file', 3],
  [{ unreadable: 1, firstUnreadable: line }, 'unreadable', null],
  [{ unreadable: 1, firstUnreadable: line, gaps: [7] }, 'gap', 7],
] satisfies [Partial<Found>, string, number | null][])('%o: %s of %s comes first', ([more, kind, number]) => {
  const { state, offender, text } = verdictOf(found(more))
  expect({ state, kind: offender?.kind, package: offender?.package }).toEqual({
    state: 'violated',
    kind,
    package: number,
  })
  expect(text).toMatch(/^not exactly once: /)
})

test('without files, Redis’ counts must add up once nothing is undelivered', () => {
  const state = {
    sequence: 10,
    done: 6,
    dead: 3,
    replayed: 1,
    purged: 0,
    waiting: 1,
    pending: 0,
    lag: 0,
    group: true,
  } as StreamState
  expect(byCounts(state, 'why')).toMatchObject({ state: 'violated', gaps: 1, by: 'redis', note: 'why' })
  expect(byCounts({ ...state, pending: 1 }, 'why')).toMatchObject({ state: 'exact', gaps: 0 })
  expect(byCounts({ ...state, oldestUndelivered: 3 }, 'why')).toMatchObject({ state: 'exact' })
})
