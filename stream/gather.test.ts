import { lastValueFrom, of, Subject, toArray } from 'rxjs'
import { expect, test } from 'vitest'
import { gather } from './gather.ts'

test('what arrives while a batch is under way goes into the next, and batches never overlap', async () => {
  const source = new Subject<number[]>()
  const batches: number[][] = []
  const open: (() => void)[] = []
  const gathered = source.pipe(
    gather(
      waiting => waiting.length,
      async batch => {
        batches.push(batch)
        await new Promise<void>(done => open.push(done))
        return batch.length
      },
    ),
    toArray(),
  )
  const result = lastValueFrom(gathered)
  source.next([1])
  source.next([2, 3])
  source.next([4])
  expect(batches).toEqual([[1]])
  open[0]?.()
  await expect.poll(() => batches).toEqual([[1], [2, 3, 4]])
  source.complete()
  open[1]?.()
  expect(await result).toEqual([1, 3])
})

test('a batch has what `take` says, in the order that it leaves', async () => {
  const take = (waiting: number[]) => {
    waiting.sort((a, b) => a - b)
    return Math.min(2, waiting.length)
  }
  const found = await lastValueFrom(
    of([5, 3, 4, 1, 2]).pipe(
      gather(take, async batch => batch),
      toArray(),
    ),
  )
  expect(found).toEqual([[1, 2], [3, 4], [5]])
})

test('it errors as the work rejects', async () => {
  const failing = of([1]).pipe(
    gather(
      () => 1,
      () => Promise.reject(new Error('no')),
    ),
  )
  await expect(lastValueFrom(failing)).rejects.toThrow('no')
})

test('several batches may be under way, each with what no other has', async () => {
  const source = new Subject<number[]>()
  const batches: number[][] = []
  const open: (() => void)[] = []
  const work = (batch: number[]) => {
    batches.push(batch)
    return new Promise<number>(done => open.push(() => done(batch.length)))
  }
  const result = lastValueFrom(
    source.pipe(
      gather(waiting => waiting.length, work, 2),
      toArray(),
    ),
  )
  source.next([1])
  source.next([2])
  source.next([3])
  source.next([4])
  source.complete()
  expect(batches).toEqual([[1], [2]])
  open[1]?.()
  await expect.poll(() => batches).toEqual([[1], [2], [3, 4]])
  open[0]?.()
  open[2]?.()
  expect(await result).toEqual([1, 1, 2])
})
