import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** A line of an output file. */
export interface Line {
  readonly file: string
  /** Counted from 1. */
  readonly number: number
  readonly text: string
}

const NEWLINE = 0x0a

/** The line that is `after` lines behind the one that begins at byte `offset`; undefined when the file ends before. */
export async function lineAt(file: string, offset: number, after: number): Promise<Line | undefined> {
  let left = after
  for await (const { bytes, begin, number } of blocks(file)) {
    let at = offset - begin
    if (at >= bytes.length) continue
    if (at < 0) at = 0 // its lines went on into this block
    for (; at < bytes.length; at = bytes.indexOf(NEWLINE, at) + 1) {
      if (left-- === 0) return lineIn(file, bytes, at, number)
    }
  }
  return undefined
}

/** The line of a package, by the text that the standard line has. `folder`: the run's files. */
export async function findLine(folder: string, number: number): Promise<Line | undefined> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names.filter(name => /^consumer_.*\.txt$/.test(name)).sort()) {
    const file = join(folder, name)
    for await (const block of blocks(file)) {
      const found = block.bytes.indexOf(` package ${number} `)
      if (found >= 0)
        return lineIn(file, block.bytes, block.bytes.lastIndexOf(NEWLINE, found) + 1, block.number)
    }
  }
  return undefined
}

/** All lines of the run's files, or of one consumer's, with whose they are. */
export async function* linesOf(
  folder: string,
  consumer?: string,
): AsyncGenerator<Line & { consumer: string }> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names.filter(name => /^consumer_.*\.txt$/.test(name)).sort()) {
    const id = name.slice('consumer_'.length, -'.txt'.length)
    if (consumer !== undefined && id !== consumer) continue
    const file = join(folder, name)
    for await (const { bytes, number } of blocks(file)) {
      let at = number
      for (const text of bytes.toString().split('\n').slice(0, -1))
        yield { file, consumer: id, number: at++, text }
    }
  }
}

function lineIn(file: string, bytes: Buffer, begin: number, first: number): Line {
  const text = bytes.subarray(begin, bytes.indexOf(NEWLINE, begin)).toString()
  return { file, number: first + newlines(bytes.subarray(0, begin)), text }
}

function newlines(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++
  return count
}

/** A part of a file that consists of whole lines. */
interface Block {
  readonly bytes: Buffer
  /** Byte of the file at which it begins, and the number of its first line. */
  readonly begin: number
  readonly number: number
}

/** All whole lines of a file, in blocks; none when there is no such file. */
async function* blocks(file: string): AsyncGenerator<Block> {
  let begin = 0
  let number = 1
  let rest: Buffer = Buffer.alloc(0)
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
      const all = Buffer.concat([rest, chunk as Buffer])
      const bytes = all.subarray(0, all.lastIndexOf(NEWLINE) + 1)
      rest = all.subarray(bytes.length)
      if (bytes.length === 0) continue
      yield { bytes, begin, number }
      begin += bytes.length
      number += newlines(bytes)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
