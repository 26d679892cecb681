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
  let at = 0
  for await (const { number, begin, text } of lines(file)) {
    if (begin < offset) continue
    if (at++ === after) return { file, number, text: text() }
  }
  return undefined
}

/** The line of a package, by the text that the standard line has. `folder`: the run's files. */
export async function findLine(folder: string, number: number): Promise<Line | undefined> {
  const wanted = Buffer.from(` package ${number} `)
  const names = await readdir(folder).catch(() => [])
  for (const name of names.filter(name => /^consumer_.*\.txt$/.test(name)).sort()) {
    const file = join(folder, name)
    for await (const line of lines(file)) {
      if (line.includes(wanted)) return { file, number: line.number, text: line.text() }
    }
  }
  return undefined
}

interface Found {
  readonly number: number
  /** Byte at which it begins. */
  readonly begin: number
  includes(bytes: Buffer): boolean
  text(): string
}

/** All whole lines of a file; none when there is no such file. */
async function* lines(file: string): AsyncGenerator<Found> {
  let number = 0
  let begin = 0
  let rest: Buffer = Buffer.alloc(0)
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
      const bytes = rest.length > 0 ? Buffer.concat([rest, chunk as Buffer]) : (chunk as Buffer)
      let from = 0
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
        const line = bytes.subarray(from, end)
        yield {
          number: ++number,
          begin,
          includes: wanted => line.includes(wanted),
          text: () => line.toString(),
        }
        begin += end + 1 - from
        from = end + 1
      }
      rest = bytes.subarray(from)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
