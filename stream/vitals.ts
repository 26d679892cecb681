/** How a consumer fares, as it says itself now and then. */
export interface Vitals {
  /** Ms from appended to committed of the packages of the last few seconds; null when there was none. */
  readonly p50: number | null
  readonly p99: number | null
  readonly max: number | null
  /** Entries delivered before, here or elsewhere, that it was handed in this session. */
  readonly redelivered: number
  readonly package: number | null
}

/** Ms between two reports at least: reading them needs no more. */
const INTERVAL = 1000
/** Bounds of the buckets grow by a quarter: that is how exact a percentile is. */
const GROWTH = 1.25
const BUCKETS = 96 // up to 24 days

/** Gathers what a consumer says of itself. */
export class VitalSigns {
  redelivered = 0
  private counts = new Uint32Array(BUCKETS)
  private total = 0
  private max = 0
  private last: number | null = null
  private due = 0
  private told = ''

  /** @param now ms by a clock that never jumps */
  constructor(private readonly now = () => performance.now()) {}

  /** A package was committed. @param ms since it was appended */
  add(ms: number, number?: number): void {
    const bucket = ms < 1 ? 0 : Math.min(BUCKETS - 1, 1 + Math.floor(Math.log(ms) / Math.log(GROWTH)))
    this.counts[bucket] = (this.counts[bucket] as number) + 1
    this.total++
    if (ms > this.max) this.max = ms
    if (number !== undefined) this.last = number
  }

  /** What there is to say, as JSON; '' when it is too soon, or the same as before. */
  take(): string {
    const now = this.now()
    if (now < this.due) return ''
    this.due = now + INTERVAL
    const { redelivered, total, max } = this
    const vitals: Vitals = {
      p50: total === 0 ? null : this.percentile(0.5),
      p99: total === 0 ? null : this.percentile(0.99),
      max: total === 0 ? null : Math.round(max),
      redelivered,
      package: this.last,
    }
    this.counts.fill(0)
    this.total = this.max = 0
    const text = JSON.stringify(vitals)
    if (text === this.told) return ''
    this.told = text
    return text
  }

  private percentile(part: number): number {
    let left = part * this.total
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.counts[bucket] as number
      if (left <= 0) return Math.min(Math.round(this.max), Math.round(GROWTH ** bucket))
    }
    return Math.round(this.max)
  }
}
