import { expect, test } from 'vitest'
import type { ConsumerState } from './inspect.ts'
import { Liveness } from './liveness.ts'

const consumer = (beat: number, session: ConsumerState['session'] = 'live') =>
  ({ id: 'a', beat, session }) as ConsumerState

function lives(beats: readonly number[]): string[] {
  const liveness = new Liveness(5)
  return beats.map(beat => {
    liveness.see([consumer(beat)])
    return liveness.of(consumer(beat))
  })
}

test('who beats is live, and a single look says nothing', () => {
  expect(lives([7, 8, 9])).toEqual(['unknown', 'live', 'live'])
  expect(lives([7, 8, 8, 9, 9, 10])).toEqual(['unknown', 'live', 'live', 'live', 'live', 'live'])
})

test('a counter that stands still: silent, dead after as many looks as peers wait, and live again', () => {
  expect(lives([1, 2, 2, 2, 2, 2, 2, 3])).toEqual([
    'unknown',
    'live',
    'live',
    'silent',
    'silent',
    'silent',
    'dead',
    'live',
  ])
})

test('one that was dead when it was first seen', () => {
  expect(lives([4, 4, 4, 4, 4, 4])).toEqual(['unknown', 'unknown', 'unknown', 'unknown', 'unknown', 'dead'])
})

test('without a session there is nothing to judge', () => {
  const liveness = new Liveness(5)
  expect(liveness.of(consumer(1, 'ended'))).toBe('ended')
  expect(liveness.of(consumer(1, 'none'))).toBe('gone')
})
