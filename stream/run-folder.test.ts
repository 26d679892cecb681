import { lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDir } from '../tests/redis.ts'
import { keysOf } from './keys.ts'
import { linkOutput, OutputRefused, prepareRunFolder, runFolder } from './run-folder.ts'

const keys = keysOf('numbers', 'workers')

/** A prepared run whose consumers have one line each, under the names that people use. */
async function runWith(directory: string, epoch: string, ...consumers: string[]) {
  const run = runFolder(directory, epoch)
  await prepareRunFolder(run, keys)
  for (const consumer of consumers) {
    await writeFile(run.file(consumer), `${epoch} ${consumer}\n`)
    await linkOutput(run, consumer)
  }
  return run
}
const visible = async (directory: string) =>
  (await readdir(directory)).filter(name => name.endsWith('.txt')).sort()

test('files are born in the folder of their run, under a relative link that people use', async () => {
  const directory = await tempDir()
  const run = await runWith(directory, 'one', 'a')
  expect(run.file('a')).toBe(join(directory, 'runs', 'one', 'consumer_a.txt'))
  expect(await readlink(join(directory, 'consumer_a.txt'))).toBe('runs/one/consumer_a.txt')
  expect(await readFile(join(directory, 'consumer_a.txt'), 'utf8')).toBe('one a\n')
})

test('a new run takes the names over, and changes nothing of the old one', async () => {
  const directory = await tempDir()
  const old = await runWith(directory, 'one', 'a', 'b')
  await runWith(directory, 'two', 'a')
  expect(await visible(directory)).toEqual(['consumer_a.txt'])
  expect(await readFile(join(directory, 'consumer_a.txt'), 'utf8')).toBe('two a\n')
  for (const id of ['a', 'b']) expect(await readFile(old.file(id), 'utf8')).toBe(`one ${id}\n`)
})

test('what is no link into another run stays', async () => {
  const directory = await tempDir()
  await mkdir(join(directory, 'elsewhere'))
  await writeFile(join(directory, 'consumer_plain.txt'), 'mine\n')
  await symlink('elsewhere', join(directory, 'consumer_link.txt'))
  await writeFile(join(directory, 'notes.txt'), 'mine too\n')
  await runWith(directory, 'one', 'a')
  await runWith(directory, 'two')
  expect(await visible(directory)).toEqual(['consumer_link.txt', 'consumer_plain.txt', 'notes.txt'])
  expect(await readFile(join(directory, 'consumer_plain.txt'), 'utf8')).toBe('mine\n')
})

test('a link is replaced atomically: who looks always finds one of the two files', async () => {
  const directory = await tempDir()
  const [one, two] = [await runWith(directory, 'one', 'a'), runFolder(directory, 'two')]
  await mkdir(join(directory, 'runs', 'two'))
  await writeFile(two.file('a'), 'two a\n')
  let changing = true
  const change = (async () => {
    for (let i = 0; i < 200; i++) await linkOutput(i % 2 ? one : two, 'a')
    changing = false
  })()
  const found = new Set<string>()
  while (changing) found.add(await readFile(one.link('a'), 'utf8').catch(error => error.code))
  await change
  expect([...found].sort()).toEqual(['one a\n', 'two a\n'])
  expect((await readdir(directory)).filter(name => name.startsWith('.'))).toEqual([])
})

test('a link that is right is left alone', async () => {
  const directory = await tempDir()
  const run = await runWith(directory, 'one', 'a')
  const { ino } = await lstat(run.link('a'))
  await linkOutput(run, 'a')
  expect((await lstat(run.link('a'))).ino).toBe(ino)
})

test('a file or folder of its own under the name is not overwritten', async () => {
  const directory = await tempDir()
  const run = await runWith(directory, 'one')
  await writeFile(run.link('a'), 'precious\n')
  await mkdir(run.link('b'))
  for (const id of ['a', 'b']) await expect(linkOutput(run, id)).rejects.toThrow(OutputRefused)
  await expect(linkOutput(run, 'a')).rejects.toThrow(run.link('a'))
  expect(await readFile(run.link('a'), 'utf8')).toBe('precious\n')
})

test('a directory belongs to one stream and group, whoever asks', async () => {
  const directory = await tempDir()
  await runWith(directory, 'one', 'a')
  const run = runFolder(directory, 'two')
  for (const other of [keysOf('numbers', 'others'), keysOf('letters', 'workers')]) {
    const error = await prepareRunFolder(run, other).catch(found => found)
    expect(error).toBeInstanceOf(OutputRefused)
    expect(error.message).toContain('group workers of stream numbers')
  }
  await prepareRunFolder(run, keys)
  expect(await visible(directory)).toEqual([])
})

test('a refused directory is left as it was found', async () => {
  const directory = await tempDir()
  await runWith(directory, 'one', 'a')
  await expect(prepareRunFolder(runFolder(directory, 'two'), keysOf('x', 'y'))).rejects.toThrow()
  expect(await visible(directory)).toEqual(['consumer_a.txt'])
  expect(await readdir(join(directory, 'runs'))).not.toContain('two')
})

test('of two groups that come first at the same time, one has the directory', async () => {
  for (let round = 0; round < 50; round++) {
    const directory = await tempDir()
    const both = await Promise.allSettled(
      ['one', 'two'].map(group => prepareRunFolder(runFolder(directory, group), keysOf('numbers', group))),
    )
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  }
})

test('several of one group prepare a directory at the same time', async () => {
  const directory = await tempDir()
  await runWith(directory, 'old', 'a', 'b', 'c')
  const run = runFolder(directory, 'new')
  await Promise.all(Array.from({ length: 8 }, () => prepareRunFolder(run, keys)))
  await Promise.all(Array.from({ length: 8 }, () => linkOutput(run, 'a')))
  expect(await visible(directory)).toEqual(['consumer_a.txt'])
})

test('a directory in whose mark something else is belongs to nobody', async () => {
  const directory = await tempDir()
  await mkdir(join(directory, 'runs'))
  await writeFile(join(directory, 'runs', '.owner'), 'numbers workers')
  await expect(runWith(directory, 'one')).rejects.toThrow(/runs\/\.owner is not a link, as Conveyor makes it/)
})

test('a directory whose path goes over a link is used where it leads', async () => {
  const directory = await tempDir()
  await mkdir(join(directory, 'real'))
  await symlink('real', join(directory, 'linked'))
  await runWith(join(directory, 'linked'), 'one', 'a')
  expect(await readFile(join(directory, 'real', 'consumer_a.txt'), 'utf8')).toBe('one a\n')
})
