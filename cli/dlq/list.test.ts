import type { DeadLetter } from '@conveyor/stream'
import { expect, test, vi } from 'vitest'
import { table } from './list.ts'

// Without colours, whatever the tests run in.
vi.mock('picocolors', async load => {
  const { default: pc } = await load<{ default: { createColors(on: boolean): unknown } }>()
  return { default: pc.createColors(false) }
})

const NOW = 1_795_293_061_000

const letter: DeadLetter = {
  id: `${NOW - 200_000}-0`,
  at: NOW - 200_000,
  reason: 'handler failed',
  detail: 'Error: connect ECONNREFUSED 10.0.0.7:5432 while storing the package\nin the 漢字 database',
  group: 'workers',
  consumer: '3d5e5434',
  package: 17,
  message: '1-0',
  entry: '2-0',
  attempts: 5,
  deliveries: 1,
  replays: 0,
  failures: [],
  epoch: 'e',
  fields: {},
}
const { package: _, consumer: __, ...nameless } = letter
const all = [
  letter,
  { ...nameless, id: `${NOW}-12`, at: NOW, reason: 'rejected', detail: '\u001b[31m', replays: 3 },
]
const drawn = (columns: number | undefined) => table(all, { now: NOW, maxReplays: 3, columns })

test('elsewhere than in a terminal, nothing is cut off', () => {
  expect(drawn(undefined)).toMatchInlineSnapshot(`
    "ID                AGE  PACKAGE  REASON          ATTEMPTS  REPLAYS         CONSUMER  DETAIL
    1795292861000-0    3m       17  handler failed         5  0               3d5e5434  Error: connect ECONNREFUSED 10.0.0.7:5432 while storing the package in the 漢字 database
    1795293061000-12   0s        -  rejected               5  3, quarantined  -         \\u{1b}[31m"
  `)
})

test('in a terminal, the detail gets what room there is', () => {
  expect(drawn(120)).toMatchInlineSnapshot(`
    "ID                AGE  PACKAGE  REASON          ATTEMPTS  REPLAYS         CONSUMER  DETAIL
    1795292861000-0    3m       17  handler failed         5  0               3d5e5434  Error: connect ECONNREFUSED 10.0.…
    1795293061000-12   0s        -  rejected               5  3, quarantined  -         \\u{1b}[31m"
  `)
})

test('in a narrow terminal, it stands below', () => {
  expect(drawn(90)).toMatchInlineSnapshot(`
    "ID                AGE  PACKAGE  REASON          ATTEMPTS  REPLAYS         CONSUMER
    1795292861000-0    3m       17  handler failed         5  0               3d5e5434
      Error: connect ECONNREFUSED 10.0.0.7:5432 while storing the package in the 漢字 datab…
    1795293061000-12   0s        -  rejected               5  3, quarantined  -
      \\u{1b}[31m"
  `)
})
