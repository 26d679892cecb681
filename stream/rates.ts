/** How fast counters rise, over the last few seconds. */
export class Rates {
  private samples: { at: number; counters: ReadonlyMap<string, number> }[] = []

  /** @param window ms */
  constructor(private readonly window = 3000) {}

  /** @param at ms by a clock that never jumps */
  add(counters: Iterable<[name: string, value: number]>, at = performance.now()): void {
    const now = new Map(counters)
    const last = this.samples.at(-1)?.counters
    if (last && [...now].some(([name, value]) => value < (last.get(name) ?? 0))) this.samples = [] // a new run
    this.samples.push({ at, counters: now })
    // One sample stays, however old: the next may be as far away.
    const before = this.samples.findLastIndex(sample => at - sample.at >= this.window)
    if (before > 0) this.samples.splice(0, before)
  }

  /** Per second; undefined for a counter that was not seen twice. */
  of(name: string): number | undefined {
    const seen = this.samples.filter(({ counters }) => counters.has(name))
    const [first, last] = [seen[0], seen.at(-1)]
    if (!first || !last || last.at === first.at) return undefined
    const rise = (last.counters.get(name) ?? 0) - (first.counters.get(name) ?? 0)
    return (rise * 1000) / (last.at - first.at)
  }
}
