import { expect, test } from 'vitest'
import type { Series } from '../contract.ts'
import { ceiling, columnsOf, marksIn, valueAt, windowOf } from './chart-data.ts'

const series: Series = {
  at: [10_000, 11_000, 20_000],
  in: [1, 2, 3],
  out: [4, null, 6],
  lag: [7, 8, 9],
  lagMs: [0, 0, 0],
  latency: [null, null, null],
}

test('lines are broken where points are missing', () => {
  expect(columnsOf(series, ['in', 'out'])).toEqual([
    [10, 11, 12, 20],
    [1, 2, null, 3],
    [4, null, null, 6],
  ])
})

test('the last five minutes are shown, less of what is new, and the faults in them', () => {
  const window = windowOf(series, 0)
  expect(window).toEqual([-40, 20])
  const long = { ...series, at: [0, 200_000, 900_000] }
  expect(windowOf(long, 0)).toEqual([601, 900])
  expect(windowOf({ ...series, at: [800_000, 850_000, 900_000] }, 0)).toEqual([800, 900])
  const mark = (at: number) => ({ at, kind: 'kill' as const, text: 'c1 was killed' })
  expect(marksIn([mark(-300_000), mark(15_000), mark(20_400)], window).map(({ at }) => at)).toEqual([
    15_000, 20_400,
  ])
})

test('there is room above the highest value, and noise is no mountain', () => {
  expect([ceiling(null, 10), ceiling(3, 10), ceiling(100, 10)]).toEqual([10, 10, 110.00000000000001])
})

test('the value under the pointer', () => {
  const columns = columnsOf(series, ['out'])
  expect([10.2, 11.4, 15, 20].map(at => valueAt(columns, 0, at))).toEqual([4, 4, null, 6])
})
