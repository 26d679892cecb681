import { expect, test } from 'vitest'
import { demoCommand } from './demo-view.ts'

test('a fault names the process that it is for', () => {
  const c1 = { id: 'c1', holder: 'host/with/slash/4711' }
  expect([demoCommand('kill', c1), demoCommand('stop', c1), demoCommand('resume', c1)]).toEqual([
    'kill -9 4711',
    'kill -STOP 4711',
    'kill -CONT 4711',
  ])
  expect(demoCommand('kill', { id: 'c1', holder: null })).toBe('kill -9 <pid>')
})
