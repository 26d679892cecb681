import { stripVTControlCharacters } from 'node:util'
import type { StreamState } from '@conveyor/stream'
import { expect, test } from 'vitest'
import { liveSummary, plainSummary, type Snapshot } from './summary.ts'

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
  dead: 0,
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
  redis: 'redis://127.0.0.1:1',
  producer: 'http://127.0.0.1:8000',
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
