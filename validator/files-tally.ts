import { setImmediate } from 'node:timers/promises'
import { LineScanner } from './line-scanner.ts'
import type { OutputFile } from './output-files.ts'
import { PackageTally } from './package-tally.ts'
import { readBlocks } from './read-blocks.ts'
import { UnreadableLines } from './unreadable-lines.ts'

// About 30 ms of work, after which other things of the process get their turn.
const BYTES_AT_A_TIME = 16 * 1024 * 1024

/** One file, as far as it was read. */
export interface ReadFile {
  readonly file: OutputFile
  readonly scanner: LineScanner
  /** Lines that are no package. */
  readonly unreadable: number
}

/**
 * What output files hold, as far as they were read. When they have grown they may be read on, from where it stopped;
 * who has changed anything else in them begins anew with another of these.
 */
export class FilesTally {
  readonly packages: PackageTally
  readonly unreadable: UnreadableLines
  readonly #files = new Map<string, { file: OutputFile; scanner: LineScanner; unreadable: number }>()
  #bytes = 0

  /**
   * @param options.expect the highest package expected, if that is known
   * @param options.detailLimit how many of each list are kept
   */
  constructor(options: { expect: number | undefined; detailLimit: number }) {
    this.packages = new PackageTally(options)
    this.unreadable = new UnreadableLines(options.detailLimit)
  }

  /** In the order in which they were met. */
  get files(): readonly ReadFile[] {
    return [...this.#files.values()]
  }

  /** Bytes read of all files. */
  get bytes(): number {
    return this.#bytes
  }

  /** Lines that count as a package. */
  get processed(): number {
    return this.files.reduce((sum, { scanner }) => sum + scanner.count, 0)
  }

  /** Highest package of all; 0 when there is none. */
  get highest(): number {
    return this.files.reduce((most, { scanner }) => Math.max(most, scanner.highest), 0)
  }

  /**
   * Reads files to their sizes, each from where it stopped the last time.
   *
   * @param onProgress called after every 16 MiB, and at the end
   * @throws `CannotAnalyse` when one cannot be read or is shorter than its size
   */
  async read(
    files: readonly OutputFile[],
    onProgress?: (bytesRead: number, bytesTotal: number) => void,
  ): Promise<void> {
    const total = files.reduce((sum, { size }) => sum + size, 0)
    this.packages.grow(total, this.#files.size + files.length)
    for (const file of files) {
      const known = this.#files.get(file.name)
      const from = known?.file.size ?? 0
      const entry = known ?? {
        file,
        scanner: new LineScanner(file, this.packages, this.unreadable),
        unreadable: 0,
      }
      this.#files.set(file.name, entry)
      this.packages.startFile([...this.#files.keys()].indexOf(file.name), file.name)
      const unreadableBefore = this.unreadable.total
      for (const block of readBlocks(file, undefined, from)) {
        entry.scanner.scan(block)
        const bytes = block.end - block.start
        this.#bytes += bytes
        if (this.#bytes % BYTES_AT_A_TIME < bytes) {
          onProgress?.(this.#bytes, total)
          await setImmediate()
        }
      }
      entry.file = file
      entry.unreadable += this.unreadable.total - unreadableBefore
    }
    onProgress?.(total, total)
  }
}
