import { stripVTControlCharacters } from 'node:util'
import type { StreamState } from '@conveyor/stream'
import { expect, test } from 'vitest'
import { liveSummary, plainSummary, type Snapshot, waiting } from './summary.ts'

const consumer = (id: string, done: number) => ({
  id,
  session: 'live' as const,
  beat: 1,
  pending: 0,
  done,
  output: 0,
  unflushed: 0,
})

const state = {
  epoch: '20260711T081501Z-3f9a01',
  sequence: 1200,
  length: 63,
  lag: 150,
  pending: 50,
  done: 1000,
  retried: 0,
  waiting: 0,
  dead: 0,
  replayed: 0,
  letters: {},
  claimed: 0,
  fenced: 0,
  unflushed: 0,
  consumers: [consumer('c1', 750), consumer('c2', 250), { ...consumer('old', 0), session: 'none' as const }],
} as unknown as StreamState

const snapshot: Snapshot = {
  state,
  elapsed: 3725,
  producedRate: 99.96,
  committedRate: 12345.6,
  trims: { operations: 2, removed: 1137 },
  packages: 4000,
  running: new Set(['c1']),
  places: [`Redis ${'redis://127.0.0.1:1'}`],
  producer: 'http://127.0.0.1:8000',
  console: 'http://127.0.0.1:8080',
  notes: ['c2 was ended by SIGKILL: starting it again'],
  phase: undefined,
}

test('the live summary shows what goes in, what comes out, and who does it', () => {
  const text = stripVTControlCharacters(liveSummary(snapshot))
  expect(text).toContain('run 20260711T081501Z-3f9a01  01:02:05')
  expect(text).toMatch(/produced +1,200 +100\/s +stream length 63/)
  expect(text).toMatch(/committed +1,000 +12,346\/s +lag 150 +pending 50/)
  expect(text).toMatch(/trims +2 +1,137 entries removed/)
  expect(text).toMatch(/█{7}░{23} +25\.0 % of 4,000/)
  expect(text).toMatch(/c1 +live +750 +75\.0 %/)
  expect(text).toMatch(/c2 +live +250 +25\.0 %/)
  expect(text).not.toContain('old')
  expect(text).toContain('c2 was ended by SIGKILL')
  expect(text).toMatch(/^ {2}dead letters 0 /m)
  expect(text).not.toContain('retries')
  expect(text).toContain('Ctrl-C: drain, validate and end')
  expect(liveSummary({ ...snapshot, phase: 'draining: 1 waiting' })).toContain('Ctrl-C: end at once')
})

test('the live summary shows what failed: retries that wait, and dead letters by reason', () => {
  const failing = {
    ...state,
    retried: 1234,
    waiting: 12,
    nextDue: 2345,
    done: 700,
    dead: 350,
    replayed: 50,
    letters: { rejected: 40, 'handler failed': 260 },
  }
  const text = stripVTControlCharacters(liveSummary({ ...snapshot, state: failing }))
  expect(text).toContain('  retries 1,234   12 waiting, next in 2.3 s\n')
  expect(text).toContain('  dead letters 300   claimed 0')
  expect(text).toContain('  handler failed: 260   rejected: 40\n')
  expect(text).toMatch(/committed +700 /)
  expect(text, 'lines and dead letters are settled').toMatch(/ 25\.0 % of 4,000/)
  expect(plainSummary({ ...snapshot, state: failing })).toContain(
    ' committed=700/4000 (25.0 %) (12346/s) lag=150 pending=50 stream=63 trims=2 waiting=12 dead=300 c1',
  )
})

test.each([
  [0, undefined, ''],
  [3, 400, '3 waiting, next in 0.4 s'],
  [3, 12_400, '3 waiting, next in 12 s'],
  [1200, 3_723_000, '1,200 waiting, next in 01:02:03'],
  [1, -20, '1 waiting, next in 0.0 s'],
])('%i waiting for %o ms', (count, nextDue, text) => {
  expect(waiting({ ...state, waiting: count, ...(nextDue && { nextDue }) })).toBe(text)
})

test('a note is cut to the width of the terminal', () => {
  const lines = stripVTControlCharacters(liveSummary({ ...snapshot, notes: ['x'.repeat(200)] }, 60)).split(
    '\n',
  )
  expect(lines.find(line => line.includes('xxx'))).toHaveLength(60)
})

test('the plain summary is one line', () => {
  expect(plainSummary(snapshot)).toBe(
    '01:02:05 produced=1200 (100/s) committed=1000/4000 (25.0 %) (12346/s) lag=150 pending=50 stream=63 trims=2 c1=750 c2=250',
  )
})
