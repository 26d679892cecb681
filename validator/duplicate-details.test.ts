import { expect, test } from 'vitest'
import { DuplicateDetails } from './duplicate-details.ts'

test('the first packages that come again are kept, and counted to the end', () => {
  const details = new DuplicateDetails(2)
  details.add(9, 0, 0)
  details.add(5, 0, 1)
  // Too late: between the two, below and above them.
  for (const n of [7, 1, 20]) details.add(n, 1, 1)
  details.add(5, 0, 1)
  details.add(9, 0, 2)
  expect(details.list(['a', 'b', 'c'])).toEqual([
    {
      package: 5,
      times: 3,
      consumers: [
        { id: 'a', times: 1 },
        { id: 'b', times: 2 },
      ],
      moreConsumers: 0,
    },
    {
      package: 9,
      times: 3,
      consumers: [
        { id: 'a', times: 2 },
        { id: 'c', times: 1 },
      ],
      moreConsumers: 0,
    },
  ])
})
