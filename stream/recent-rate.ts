/** Seconds that are looked back upon. */
const SECONDS = 5

/** How many of something there are in a second, over the last few seconds. */
export class RecentRate {
  /** Counts of the last seconds; that of second n is at n % SECONDS. */
  private readonly counts = new Array<number>(SECONDS).fill(0)
  private newest = 0
  private readonly began: number

  /** @param now ms */
  constructor(private readonly now = () => performance.now()) {
    this.began = now()
  }

  add(count: number): void {
    const second = Math.floor(this.goOn())
    this.counts[second % SECONDS] = (this.counts[second % SECONDS] as number) + count
  }

  get perSecond(): number {
    const age = this.goOn()
    // The newest second is not over yet. One that has just begun would make much of little.
    const span = Math.max(1, Math.min(age, SECONDS - 1 + (age % 1)))
    return this.counts.reduce((sum, count) => sum + count, 0) / span
  }

  /** Forgets what is too old. Returns seconds since the beginning. */
  private goOn(): number {
    const age = (this.now() - this.began) / 1000
    const second = Math.floor(age)
    for (let old = Math.max(this.newest, second - SECONDS); old < second; ) this.counts[++old % SECONDS] = 0
    this.newest = second
    return age
  }
}
