import { expect, test } from 'vitest'
import type { HistoryEvent } from '../contract.ts'
import { steps } from './timeline-view.ts'

const event = (event: HistoryEvent['event'], at: number): HistoryEvent => ({
  event,
  at,
  text: '',
  consumer: null,
  attempt: null,
})

test('steps tell how long after the first they came, and how they are to be taken', () => {
  const shown = steps([
    event('appended', 1000),
    event('failed', 1200),
    event('dead', 1500),
    event('replayed', 90_000),
    event('committed', 90_050),
  ])
  expect(shown.map(({ kind, after, pause }) => [kind, after, pause])).toEqual([
    ['plain', 0, false],
    ['warn', 200, false],
    ['bad', 500, false],
    ['plain', 89_000, true],
    ['good', 89_050, false],
  ])
})

test('a claim that the clock of its machine puts before the append', () => {
  expect(steps([event('appended', 1000), event('claimed', 990)])[1]).toMatchObject({ after: 0, pause: false })
})
