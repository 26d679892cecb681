import { expect, test } from 'vitest'
import { demoCommand } from './demo-view.ts'

const REDIS = 'redis://127.0.0.1:6379'

test('a fault names the process that it is for', () => {
  const c1 = { id: 'c1', holder: 'host/with/slash/4711' }
  expect([...(['kill', 'stop', 'resume'] as const).map(action => demoCommand(action, REDIS, c1))]).toEqual([
    'kill -9 4711',
    'kill -STOP 4711',
    'kill -CONT 4711',
  ])
  expect(demoCommand('kill', REDIS, { id: 'c1', holder: null })).toBe('kill -9 <pid>')
  expect(demoCommand('cut', REDIS)).toBe('redis-cli -u redis://127.0.0.1:6379 CLIENT KILL TYPE normal')
})
