import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { emptyDir, line } from './fixtures.ts'
import { Following } from './following.ts'

const lines = (id: string, ...numbers: number[]) => numbers.map(n => line(id, n)).join('')

async function following() {
  const dir = await emptyDir()
  const file = new Following()
  const path = (id: string) => join(dir, `consumer_${id}.txt`)
  const lengths = new Map<string, number>()
  return {
    dir,
    path,
    lengths,
    file,
    async append(id: string, ...numbers: number[]) {
      const text = lines(id, ...numbers)
      await appendFile(path(id), text)
      lengths.set(id, (lengths.get(id) ?? 0) + text.length)
    },
    async look() {
      const sizes = await file.look(dir, lengths)
      const whole = [...lengths].every(([id, length]) => (sizes.get(id) ?? 0) >= length)
      const { packages, unreadable } = file.tally
      return { whole, unique: packages.unique, duplicates: packages.duplicated, unreadable: unreadable.total }
    },
  }
}

test('what has come is read on, whatever was read before', async () => {
  const f = await following()
  expect(await f.look()).toEqual({ whole: true, unique: 0, duplicates: 0, unreadable: 0 })
  await f.append('a', 1, 2)
  await f.append('b', 3)
  expect(await f.look()).toMatchObject({ whole: true, unique: 3 })
  await f.append('a', 4)
  await f.append('c', 5, 2)
  expect(await f.look()).toMatchObject({ unique: 5, duplicates: 1 })
  expect(f.file.tally.packages.duplicates(f.file.tally.files.map(({ file }) => file.id))).toEqual([
    {
      package: 2,
      times: 2,
      consumers: [
        { id: 'a', times: 1 },
        { id: 'c', times: 1 },
      ],
      moreConsumers: 0,
    },
  ])
})

test('a look in the middle of a line, and one before the bytes are there', async () => {
  const f = await following()
  const text = lines('a', 1, 2)
  await writeFile(f.path('a'), text.slice(0, 60))
  f.lengths.set('a', text.length)
  expect(await f.look()).toMatchObject({ whole: false, unique: 1 })
  await appendFile(f.path('a'), text.slice(60))
  expect(await f.look()).toMatchObject({ whole: true, unique: 2, unreadable: 0 })
  f.lengths.set('b', 50)
  expect(await f.look()).toMatchObject({ whole: false })
})

test('a line that is taken out, doubled or changed is noticed, by whatever means', async () => {
  const f = await following()
  await f.append('a', 1, 2, 3)
  await f.look()
  const whole = await readFile(f.path('a'), 'utf8')
  await writeFile(`${f.path('a')}.new`, lines('a', 1, 3))
  await rename(`${f.path('a')}.new`, f.path('a')) // as sed -i does
  expect(await f.look()).toMatchObject({ unique: 2 })
  await writeFile(f.path('a'), whole)
  expect(await f.look()).toMatchObject({ unique: 3 })
  await writeFile(f.path('a'), lines('a', 1, 2, 2)) // in its place, of the same length
  expect(await f.look()).toMatchObject({ unique: 2, duplicates: 1 })
  await rm(f.path('a'))
  expect(await f.look()).toMatchObject({ whole: false, unique: 0 })
})

test('what is beyond the length counts once it stands, and no more when it was written over', async () => {
  const f = await following()
  await f.append('a', 1)
  await f.look()
  await appendFile(f.path('a'), lines('a', 1))
  expect(await f.look()).toMatchObject({ duplicates: 0 })
  expect(await f.look()).toMatchObject({ duplicates: 1 })
  await writeFile(f.path('a'), lines('a', 1, 2)) // the pipeline went on
  f.lengths.set('a', lines('a', 1, 2).length)
  expect(await f.look()).toMatchObject({ unique: 2, duplicates: 0 })
})
