import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDir } from '../tests/redis.ts'
import { findLine, lineAt } from './find-line.ts'

const text = (n: number) => `Consumer a processed package ${n} (timestamp: 17)`

test('a package is found in files of any size, by its whole number', async () => {
  const folder = await tempDir()
  const numbers = Array.from({ length: 60_000 }, (_, i) => i + 1) // more than two blocks
  await writeFile(join(folder, 'consumer_a.txt'), numbers.map(n => `${text(n)}\n`).join(''))
  await writeFile(join(folder, 'consumer_b.txt'), `${text(70_000)}\n`)
  const file = join(folder, 'consumer_a.txt')
  for (const n of [1, 2, 7, 21_000, 43_691, 59_999, 60_000])
    expect(await findLine(folder, n)).toEqual({ file, number: n, text: text(n) })
  expect(await findLine(folder, 70_000)).toMatchObject({ file: join(folder, 'consumer_b.txt'), number: 1 })
  expect([await findLine(folder, 600_000), await findLine(join(folder, 'none'), 1)]).toEqual([
    undefined,
    undefined,
  ])
  const offset = numbers.slice(0, 20_999).reduce((sum, n) => sum + text(n).length + 1, 0)
  for (const after of [0, 1, 500, 30_000])
    expect(await lineAt(file, offset, after)).toEqual({
      file,
      number: 21_000 + after,
      text: text(21_000 + after),
    })
  expect(await lineAt(file, offset, 40_000)).toBeUndefined()
  expect(await lineAt(file, 1e9, 0)).toBeUndefined()
})

test('a line that is not finished is none', async () => {
  const folder = await tempDir()
  await writeFile(join(folder, 'consumer_a.txt'), `${text(1)}\n${text(2)}`)
  expect(await findLine(folder, 2)).toBeUndefined()
  expect(await findLine(folder, 1)).toMatchObject({ number: 1 })
})
