import type { Series, Snapshot } from './contract.ts'

/** Ms that the charts show. */
const SPAN = 5 * 60_000
const MOST = 300

interface Point {
  readonly at: number
  readonly in: number | null
  readonly out: number | null
  readonly lag: number
  readonly lagMs: number
  readonly latency: number | null
}

/** The last five minutes of what the charts show, as far as anybody looked. */
export class History {
  private points: Point[] = []

  add({ at, seen }: Snapshot): void {
    if (!seen) return
    const { in: given, out, lag, latency } = seen
    this.points.push({ at, in: given, out, lag: lag.packages, lagMs: lag.ms, latency: latency?.p99 ?? null })
    const from = this.points.findIndex(point => point.at >= at - SPAN)
    this.points.splice(0, Math.max(from, this.points.length - MOST))
  }

  get series(): Series {
    const { points } = this
    return {
      at: points.map(({ at }) => at),
      in: points.map(point => point.in),
      out: points.map(({ out }) => out),
      lag: points.map(({ lag }) => lag),
      lagMs: points.map(({ lagMs }) => lagMs),
      latency: points.map(({ latency }) => latency),
    }
  }
}
