import { expect, test } from 'vitest'
import { diagnostics } from './diagnostics.ts'

test('the same complaint comes once a minute, as one line', () => {
  const lines: unknown[] = []
  let now = 0
  const logger = diagnostics({ warn: (fields: object) => lines.push(fields) }, () => now)
  const unavailable = JSON.stringify({ stack: 'at …', message: '14 UNAVAILABLE', code: '14' })
  for (; now < 90_000; now += 1000) logger.error(unavailable)
  expect(lines).toEqual([{ reason: '14 UNAVAILABLE' }, { reason: '14 UNAVAILABLE' }])
  logger.warn('Dropped 5 spans because maxQueueSize reached')
  logger.error('{ not JSON')
  logger.info('chatter')
  expect(lines.slice(2)).toEqual([
    { reason: 'Dropped 5 spans because maxQueueSize reached' },
    { reason: '{ not JSON' },
  ])
})

test('does not remember without bounds', () => {
  let lines = 0
  const logger = diagnostics({ warn: () => lines++ }, () => 0)
  for (let n = 0; n < 1000; n++) logger.warn(`complaint ${n}`)
  logger.warn('complaint 999')
  expect(lines).toBe(1000)
})
