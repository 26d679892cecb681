import { stripVTControlCharacters } from 'node:util'
import pc from 'picocolors'
import { expect, test } from 'vitest'
import { plain } from '../colors.ts'
import type { ConsumerReport, Report, Seen } from './report.ts'
import { formatReport, plainReport } from './view.ts'

const consumer = (id: string, more: Partial<ConsumerReport> = {}): ConsumerReport => ({
  id,
  state: 'live',
  holder: 'host/1',
  pending: 12,
  oldestPending: 0.42,
  deliveries: 1,
  processed: 1_234_567,
  perSecond: 166.6,
  claimed: 0,
  fenced: 0,
  unflushed: 295,
  ...more,
})

const where = {
  at: '2026-07-11T08:15:01.000Z',
  redis: 'redis://h:1',
  stream: 'number_stream',
  group: 'workers',
}

const report: Seen = {
  ...where,
  status: 'ok',
  run: '20260711T081501Z-3f9a01',
  length: 3365,
  memory: 280_123,
  first: { entry: '1752221701000-0', age: 12.3 },
  floor: { entry: '1752221702000-0', age: 11.3, group: 'audit' },
  missingGroups: [],
  in: 501.06,
  out: 498,
  lag: { packages: 145, seconds: 0.4 },
  pending: 50,
  retries: { waiting: 2, nextDue: 3.2 },
  deadLetters: { reasons: { poison: 2, 'handler failed': 1 }, all: 5 },
  balance: {
    givenOut: 1200,
    committed: 1000,
    deadLetters: 3,
    purged: 0,
    waiting: 2,
    pending: 50,
    undelivered: 145,
    unaccounted: null,
  },
  claimed: 4,
  fenced: 1,
  lost: 0,
  unflushed: 590,
  consumers: [
    consumer('c1'),
    consumer('c2', { state: 'dead', deliveries: 3, oldestPending: 75 }),
    consumer('x'.repeat(64), { state: 'unknown', oldestPending: null, deliveries: null, perSecond: null }),
    consumer('old', { state: 'gone', pending: 0, unflushed: 0 }),
    consumer('older', { state: 'gone', pending: 0, unflushed: 0, processed: 3 }),
  ],
}

const show = (one: Report, width: number, rows = 20) => formatReport(one, { width, rows, color: plain })

test('what there is to see, in a wide terminal', () => {
  const text = show({ ...report, consumers: report.consumers.slice(0, 2) }, 120)
  expect(text).toContain('number_stream / workers  run 20260711T081501Z-3f9a01  08:15:01')
  expect(text).toMatch(/rate +in 501\/s {2}out 498\/s/)
  expect(text).toMatch(/lag +145 packages {2}0\.4 s {2}pending 50/)
  expect(text).toMatch(/stream +3,365 entries {2}280 kB {2}oldest 12 s/)
  expect(text).toMatch(/trim floor +1752221702000-0 {2}11 s old {2}for group audit/)
  expect(text).toMatch(/retries +2 waiting {2}next in 3\.2 s/)
  expect(text).toMatch(/dead +2 poison {2}1 handler failed/)
  expect(text).toMatch(/1,200 given out {2}= 1,000 committed {2}\+ 3 dead .*\+ 145 undelivered/)
  expect(text).toMatch(/c1 +live +12 +0\.4 s +1× +1,234,567 +167\/s +0 +0 +295 B/)
  expect(text).toMatch(/c2 +dead +12 +75 s +3×/)
  expect(text).not.toContain('gone')
})

test.each([40, 60, 80, 200])('no line is longer than %i columns', width => {
  for (const line of show(report, width).split('\n')) expect(line.trimEnd().length).toBeLessThanOrEqual(width)
})

test('60 columns have room for who does how much', () => {
  const text = show(report, 60)
  expect(text).toMatch(/consumer +state +pending +oldest +processed/)
  expect(text).toMatch(/x{8,}… +… +12/)
  expect(text).toContain('2 gone, which had processed 1,234,570')
  expect(text).not.toContain('unflushed')
})

test('more consumers than there is room for', () => {
  const many = Array.from({ length: 50 }, (_, n) => consumer(`c${n}`))
  const text = show({ ...report, consumers: many }, 80, 5)
  expect(text).toContain('c4')
  expect(text).not.toContain('c5')
  expect(text).toContain('… and 45 more')
})

test('colours are only added', () => {
  const shape = { width: 100, rows: 20 }
  const colored = formatReport(report, { ...shape, color: pc.createColors(true) })
  expect(colored).not.toBe(stripVTControlCharacters(colored))
  expect(stripVTControlCharacters(colored)).toBe(formatReport(report, { ...shape, color: plain }))
})

test('what is wrong is said', () => {
  expect(show({ ...report, missingGroups: ['audit'] }, 80)).toContain('group audit was destroyed')
  expect(show({ ...report, status: 'no-group' }, 80)).toContain('there is no group workers')
  expect(show({ ...report, retries: { waiting: 1, nextDue: -12 } }, 80)).toContain('12 s late')
  const balance = { ...report.balance, unaccounted: 7 }
  expect(show({ ...report, balance }, 80)).toContain('7 unaccounted for')
})

test('nothing to show is one line', () => {
  expect(show({ ...where, status: 'unreachable' }, 80)).toBe('Redis at redis://h:1 does not answer')
  expect(show({ ...where, status: 'no-stream' }, 80).split('\n')).toHaveLength(1)
})

test('the plain report is one line', () => {
  expect(plainReport({ ...report, consumers: report.consumers.slice(0, 2) })).toBe(
    '08:15:01 in=501/s out=498/s given-out=1200 committed=1000 lag=145 lag-seconds=0.4 pending=50 waiting=2 dead-letters=3 length=3365 live=c1 dead=c2',
  )
})
