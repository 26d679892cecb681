import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What the files of one run hold, read in the plainest way there is. */
export interface OutputLines {
  /** Package number -> in which files it stands, one name for each line. */
  readonly numbers: Map<number, string[]>
  /** Lines that are not whole, or not a package. */
  readonly strange: string[]
}

const LINE = /^Consumer ([A-Za-z0-9_-]+) processed package ([1-9]\d*) \(timestamp: \d+\)$/

/** Reads every line of every `consumer_<id>.txt` in `folder`. */
export async function readOutput(folder: string): Promise<OutputLines> {
  const numbers = new Map<number, string[]>()
  const strange: string[] = []
  for (const name of (await readdir(folder)).filter(name => /^consumer_.*\.txt$/.test(name))) {
    const lines = (await readFile(join(folder, name), 'latin1')).split('\n')
    if (lines.pop() !== '') strange.push(`${name}: the last line has no end`)
    for (const line of lines) {
      const [, consumer, number] = LINE.exec(line) ?? []
      if (!number || name !== `consumer_${consumer}.txt`) strange.push(`${name}: ${line.slice(0, 120)}`)
      else numbers.set(Number(number), [...(numbers.get(Number(number)) ?? []), name])
    }
  }
  return { numbers, strange }
}

/** What is wrong with the lines when exactly the numbers 1 to `last`, without `dead`, should be there once. */
export function faultsOf({ numbers, strange }: OutputLines, last: number, dead: readonly number[] = []) {
  const faults = [...strange]
  for (let number = 1; number <= last; number++) {
    const files = numbers.get(number) ?? []
    if (files.length !== (dead.includes(number) ? 0 : 1))
      faults.push(`package ${number}: ${files.length} lines, ${files}`)
  }
  for (const number of numbers.keys()) if (number > last) faults.push(`package ${number} was never given out`)
  return faults.slice(0, 20)
}

/** Names and bytes of all files in a folder. */
export async function contents(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const name of (await readdir(folder)).sort())
    files.set(name, await readFile(join(folder, name), 'latin1'))
  return files
}
