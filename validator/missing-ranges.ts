import type { MissingRange } from './report.ts'

/** Collects the gaps between numbers that are given in ascending order, beginning at 1. */
export class MissingRanges {
  /** How many ranges there are; the first `limit` of them are in `ranges`. */
  count = 0
  readonly ranges: MissingRange[] = []
  readonly #limit: number
  #next = 1

  constructor(limit: number) {
    this.#limit = limit
  }

  /** This number is there; all between the one before and it are not. */
  present(n: number): void {
    this.absentTo(n - 1)
    this.#next = n + 1
  }

  /** All from the last present one to this number are not there. */
  absentTo(n: number): void {
    if (n < this.#next) return
    this.count++
    if (this.ranges.length < this.#limit) this.ranges.push({ from: this.#next, to: n })
  }
}
