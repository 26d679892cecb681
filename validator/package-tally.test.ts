import { expect, test } from 'vitest'
import { PackageTally } from './package-tally.ts'

const SLOTS = 2 ** 26
/** More than the map could hold. */
const BYTES = 5_000_000

function tally(options: { files?: number; expect?: number; bytes?: number } = {}) {
  const { bytes = BYTES, files = 1, expect } = options
  const packages = new PackageTally({ expect, detailLimit: 10 })
  packages.grow(bytes, files)
  packages.startFile(0, 'first')
  return packages
}

test('packages far above the number of lines are counted like any other', () => {
  const packages = tally()
  const far = [SLOTS - 1, SLOTS, SLOTS + 2, Number.MAX_SAFE_INTEGER]
  for (const n of [...far, ...far.toReversed()]) packages.add(n, 1)
  expect(packages.unique).toBe(4)
  expect(packages.duplicated).toBe(4)
  expect(packages.duplicates(['a']).map(entry => entry.package)).toEqual(far)
  expect(packages.missing(Number.MAX_SAFE_INTEGER)).toEqual({
    count: Number.MAX_SAFE_INTEGER - 4,
    rangeCount: 3,
    ranges: [
      { from: 1, to: SLOTS - 2 },
      { from: SLOTS + 1, to: SLOTS + 1 },
      { from: SLOTS + 3, to: Number.MAX_SAFE_INTEGER - 1 },
    ],
  })
})

test('of very many of them the later ones are only counted', () => {
  const packages = tally()
  const highest = SLOTS + 3 * 150_000
  packages.add(1, 1)
  for (let n = SLOTS + 3; n <= highest; n += 3) packages.add(n, 1)
  packages.add(highest, 1)
  packages.add(SLOTS + 3, 1)
  expect(packages.unique).toBe(100_001)
  expect(packages.untracked).toBe(50_001)
  expect(packages.duplicated).toBe(1)
  expect(packages.missing(highest)).toEqual({
    count: highest - 100_001,
    rangeCount: 1,
    ranges: [{ from: 2, to: SLOTS - 1 }],
  })
})

test('of as many as small files can hold none is only counted', () => {
  const lines = 100_000
  const packages = tally({ bytes: lines * 46 })
  for (let n = 1; n <= lines; n++) packages.add(n * 1e9, n)
  expect(packages.untracked).toBe(0)
  expect(packages.missing(lines * 1e9)).toMatchObject({ count: lines * 1e9 - lines, rangeCount: lines })
})

test.each([1, 126, 127, 128, 32_766, 32_767, 32_768, 70_000])('%i files are told apart', files => {
  const packages = tally({ files })
  packages.startFile(files - 1, 'last')
  packages.add(5, 1)
  packages.add(5, 2)
  packages.add(5, 3)
  const ids = Array.from({ length: files }, (_, i) => `c${i}`)
  expect(packages.duplicated).toBe(1)
  expect(packages.duplicates(ids)).toEqual([
    { package: 5, times: 3, consumers: [{ id: `c${files - 1}`, times: 3 }], moreConsumers: 0 },
  ])
})

test('packages beyond the expected ones are not missing ones', () => {
  const packages = tally({ expect: 5 })
  for (const n of [2, 3, 8, 8, SLOTS + 1]) packages.add(n, 1)
  expect(packages.beyondExpected).toBe(2)
  expect(packages.missing(SLOTS + 1)).toEqual({
    count: 3,
    rangeCount: 2,
    ranges: [
      { from: 1, to: 1 },
      { from: 4, to: 5 },
    ],
  })
})

test('it grows while it counts, and knows what it knew', () => {
  const packages = tally({ bytes: 0 })
  for (const n of [1, 2, 2, 70_000, SLOTS + 5]) packages.add(n, 1)
  packages.grow(BYTES, 200) // more slots, and wider ones
  packages.startFile(150, 'later')
  for (const n of [2, 70_000, 3, SLOTS + 5]) packages.add(n, 1)
  expect([packages.unique, packages.duplicated]).toEqual([5, 3])
  expect(packages.duplicates(Array.from({ length: 200 }, (_, i) => `c${i}`))).toMatchObject([
    {
      package: 2,
      times: 3,
      consumers: [
        { id: 'c0', times: 2 },
        { id: 'c150', times: 1 },
      ],
    },
    { package: 70_000, times: 2 },
    { package: SLOTS + 5, times: 2 },
  ])
})

test('what is unseen is told as far as was asked, and no more once it is met', () => {
  const packages = tally()
  for (const n of [1, 3, 6]) packages.add(n, 1)
  expect(packages.unseen(4)).toEqual({ through: 4, packages: new Set([2, 4]) })
  packages.add(2, 1)
  packages.add(5, 1)
  expect(packages.unseen(6)).toEqual({ through: 6, packages: new Set([4]) })
  expect(packages.unseen(2).through).toBe(6)
  expect(packages.above(3)).toEqual({ count: 2, lowest: 5 })
  expect(packages.above(6)).toEqual({ count: 0, lowest: undefined })
  expect(tally().unseen(1_000_000).through).toBe(100_000)
})
