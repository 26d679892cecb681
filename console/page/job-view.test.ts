import { expect, test } from 'vitest'
import type { Job } from '../contract.ts'
import { jobText } from './job-view.ts'

const job = (fields: Partial<Job>): Job => ({
  id: '1',
  action: 'replay',
  state: 'done',
  total: 1200,
  done: 1200,
  gone: 0,
  refused: 0,
  started: 0,
  ended: 1,
  error: null,
  command: '',
  ...fields,
})

test('what a bulk action did', () => {
  expect(jobText(job({ state: 'running', done: 7 }))).toBe('Replaying dead letters')
  expect(jobText(job({}))).toBe('Replayed 1,200 dead letters')
  expect(jobText(job({ action: 'purge', total: 1, done: 1 }))).toBe('Purged 1 dead letter')
  expect(jobText(job({ state: 'stopped', done: 1000, gone: 3, refused: 2 }))).toBe(
    'Replayed 1,000 dead letters, 3 were gone, 2 were refused, stopped with 195 left',
  )
})
