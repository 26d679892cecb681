import type { DuplicatePackage } from './report.ts'

/** Consumers listed for one package; more than that only add to `moreConsumers`. */
const CONSUMERS_LISTED = 100

interface Detail {
  package: number
  times: number
  /** File index and count, in the order in which they were met. */
  files: { file: number; times: number }[]
  lastFile: number
  moreConsumers: number
}

/**
 * Who processed which package how often, for the first `limit` packages that were found to come again,
 * however many there are.
 */
export class DuplicateDetails {
  readonly #limit: number
  readonly #details = new Map<number, Detail>()
  #lowest = Number.POSITIVE_INFINITY
  #highest = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Counts one more occurrence of a package that has been seen before.
   *
   * @param firstFile index of the file that it was first seen in
   * @param file index of the file that it is seen in now
   */
  add(n: number, firstFile: number, file: number): void {
    const full = this.#details.size >= this.#limit
    // Spares most look-ups when there are millions of duplicates.
    if (full && (n < this.#lowest || n > this.#highest)) return
    let detail = this.#details.get(n)
    if (detail === undefined) {
      if (full) return
      const files = [{ file: firstFile, times: 1 }]
      detail = { package: n, times: 1, files, lastFile: firstFile, moreConsumers: 0 }
      this.#details.set(n, detail)
      if (n < this.#lowest) this.#lowest = n
      if (n > this.#highest) this.#highest = n
    }
    detail.times++
    const known = detail.files.find(one => one.file === file)
    if (known) known.times++
    else if (detail.files.length < CONSUMERS_LISTED) detail.files.push({ file, times: 1 })
    else if (detail.lastFile !== file) detail.moreConsumers++
    detail.lastFile = file
  }

  /** The packages in ascending order, with file indexes replaced by consumer ids. */
  list(consumerIds: readonly string[]): DuplicatePackage[] {
    return [...this.#details.values()]
      .sort((a, b) => a.package - b.package)
      .map(({ files, lastFile: _, ...detail }) => ({
        ...detail,
        consumers: files.map(({ file, times }) => ({ id: consumerIds[file] ?? '', times })),
      }))
  }
}
