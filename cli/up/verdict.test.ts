import { deadPackages, inspect, purgeDeadLetter, type StreamState } from '@conveyor/stream'
import type { Report } from '@conveyor/validator'
import { expect, test } from 'vitest'
import { bench, useRedis } from '../../tests/redis.ts'
import { balance } from './verdict.ts'

const on = useRedis()
const state = { sequence: 2000, letters: {}, purged: 0 } as StreamState
const report = (totals: Partial<Report['totals']>) =>
  ({ totals: { unique: 2000, unexpected: 0, missing: 0, ...totals } }) as Report

test('all in files', () => {
  expect(balance(state, report({}))).toEqual(['Given out: 2,000   in files: 2,000   in the dead letters: 0'])
})

test('some in the dead letters', () => {
  const letters = { 'handler failed': 38, rejected: 2 }
  expect(balance({ ...state, letters }, report({ unique: 1960, dead: 40 }))).toEqual([
    'Given out: 2,000   in files: 1,960   in the dead letters: 40',
    '`npx conveyor dlq list` shows the dead letters while Redis runs',
  ])
})

test('some in neither, some that a person gave up, and entries that are no packages', () => {
  const found = balance(
    { ...state, letters: { rejected: 3, unparseable: 1 }, purged: 2 },
    report({ unique: 1994, missing: 1, dead: 5 }),
  )
  expect(found).toEqual([
    'Given out: 2,000   in files: 1,994   in the dead letters: 5 (2 of them purged)   in neither: 1',
    '1 more of the dead letters are no packages of this run',
    '`npx conveyor dlq list` shows the dead letters while Redis runs',
  ])
})

test('dead packages are those of this group and this run', async () => {
  const b = await bench(on)
  await b.fill(1)
  const { epoch } = await inspect(b.redis, b.keys)
  const letter = (group: string, epoch: string, more: string[]) =>
    b.redis.xadd(b.keys.dead, '*', 'reason', 'rejected', 'group', group, ...more, 'epoch', epoch)
  await letter(b.keys.group, epoch as string, ['package', '7'])
  await letter(b.keys.group, epoch as string, [])
  await letter(b.keys.group, 'an earlier one', ['package', '8'])
  await letter('others', epoch as string, ['package', '9'])
  const gone = (await letter(b.keys.group, epoch as string, ['package', '6'])) as string
  expect(await purgeDeadLetter(b.redis, b.keys, gone)).toBe(true)
  expect(await deadPackages(b.redis, b.keys, epoch)).toEqual(
    new Map([
      [6, 'purged'],
      [7, 'rejected'],
    ]),
  )
})
