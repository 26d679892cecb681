import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { emptyDir, line } from './fixtures.ts'
import { LineScanner } from './line-scanner.ts'
import { PackageTally } from './package-tally.ts'
import { readBlocks } from './read-blocks.ts'
import { UnreadableLines } from './unreadable-lines.ts'

/** Everything the scanner makes of a file that is read in blocks of so many bytes. */
async function scan(dir: string, content: string, blockBytes: number) {
  const path = join(dir, 'file')
  await writeFile(path, content, 'latin1')
  const bytes = content.length
  const tally = new PackageTally({ expect: 0, detailLimit: 100 })
  tally.grow(bytes, 1)
  const unreadable = new UnreadableLines(100)
  const file = { id: 'a', name: 'consumer_a.txt', path, size: bytes }
  const scanner = new LineScanner(file, tally, unreadable)
  tally.startFile(0, file.name)
  for (const block of readBlocks(file, blockBytes)) scanner.scan(block)
  const { count, lowest, highest } = scanner
  const lines = { packages: tally.unexpected(), unreadable: unreadable.first, torn: scanner.tornLine() }
  return { count, lowest, highest, ...lines }
}

test('where a block ends changes nothing', async () => {
  const dir = await emptyDir()
  const piece = fc.oneof(
    fc.nat(2 ** 40).map(n => line('a', n)),
    fc.constantFrom('\n', 'x', '\0\n', '\r\n', line('b', 7), line('a', '9007199254740993')),
    fc.integer({ min: 1015, max: 1030 }).map(length => `${'y'.repeat(length)}\n`),
    fc.integer({ min: 1020, max: 5000 }).map(length => 'z'.repeat(length)),
  )
  const property = fc.asyncProperty(
    fc.array(piece, { minLength: 1, maxLength: 12 }),
    fc.integer({ min: 1, max: 3000 }),
    async (pieces, blockBytes) => {
      const content = pieces.join('')
      expect(await scan(dir, content, blockBytes)).toEqual(await scan(dir, content, 1 << 20))
    },
  )
  await fc.assert(property, { numRuns: 300 })
})

test('a line is too long from 1,025 bytes on', async () => {
  const dir = await emptyDir()
  for (const blockBytes of [1, 1000, 1 << 20]) {
    const { unreadable } = await scan(dir, `${'x'.repeat(1024)}\n${'x'.repeat(1025)}\n`, blockBytes)
    expect(unreadable.map(({ kind, bytes }) => [kind, bytes])).toEqual([
      ['malformed', 1024],
      ['too-long', 1025],
    ])
  }
})

test('numbers of any length up to 2^53 - 1 are read exactly', async () => {
  const dir = await emptyDir()
  const numbers = [1, 999_999_999, 1_000_000_000, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 1, 2 ** 53 - 1]
  const { packages } = await scan(dir, numbers.map(n => line('a', n)).join(''), 1 << 20)
  expect(packages.map(entry => entry.package)).toEqual(numbers)
  expect(packages.map(entry => entry.line)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
})
