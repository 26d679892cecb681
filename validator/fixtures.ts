import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A line as a consumer writes it, with its newline. */
export function line(id: string, n: number | string, timestamp: number | string = 1753553379): string {
  return `Consumer ${id} processed package ${n} (timestamp: ${timestamp})\n`
}

/** The lines of one consumer. */
export function lines(id: string, packages: Iterable<number>): string {
  return Array.from(packages, n => line(id, n)).join('')
}

/** `from` to `to`, both included. */
export function range(from: number, to: number, step = 1): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step)
}

/** An empty directory that is gone after the test. */
export async function emptyDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'conveyor-validator-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  return dir
}

/** A directory with a file `consumer_<id>.txt` for each key, gone after the test. */
export async function outputDir(contents: Record<string, string | Buffer>): Promise<string> {
  const dir = await emptyDir()
  for (const [id, content] of Object.entries(contents)) {
    await writeFile(join(dir, `consumer_${id}.txt`), content, typeof content === 'string' ? 'latin1' : {})
  }
  return dir
}
