import type { DeadPackages, Report } from './report.ts'

/** Dead letters, held against what the lines have. */
export class DeadLetters {
  /** Those that no line has, as it should be, in ascending order. */
  readonly absent: readonly number[]
  /** Those that a line has all the same, in ascending order. */
  readonly #processed: readonly number[]
  readonly #reasons: ReadonlyMap<number, string>

  /** @param most those above are not looked at */
  constructor(reasons: ReadonlyMap<number, string>, most: number, isProcessed: (n: number) => boolean) {
    const all = [...reasons.keys()].filter(n => n <= most).sort((a, b) => a - b)
    this.absent = all.filter(n => !isProcessed(n))
    this.#processed = all.filter(isProcessed)
    this.#reasons = reasons
  }

  /** The highest of all; 0 when there is none. */
  get highest(): number {
    return Math.max(this.absent.at(-1) ?? 0, this.#processed.at(-1) ?? 0)
  }

  get totals(): { dead: number; deadProcessed: number } {
    return { dead: this.absent.length, deadProcessed: this.#processed.length }
  }

  /** @param limit most packages in a list */
  lists(limit: number): Required<Pick<Report, 'dead' | 'deadProcessed'>> {
    const byReason = new Map<string, DeadPackages>()
    for (const n of this.absent) {
      const reason = this.#reasons.get(n) ?? ''
      const found = byReason.get(reason) ?? { reason, count: 0, packages: [] }
      byReason.set(reason, found)
      found.count++
      if (found.packages.length < limit) found.packages.push(n)
    }
    return {
      dead: [...byReason.values()].sort((a, b) => b.count - a.count),
      deadProcessed: this.#processed.slice(0, limit),
    }
  }
}
