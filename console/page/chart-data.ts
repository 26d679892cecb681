import type { Mark, Series } from '../contract.ts'
import { POINTS } from './merge.ts'

/** Columns as uPlot takes them: seconds, then a column a line. */
export type Columns = [at: number[], ...lines: (number | null)[][]]

/** Seconds without a point after which a line has a gap: Redis was away, or the page was hidden. */
const GAP = 3

/** Picks lines from the series; where points are missing for a while, the lines are broken. */
export function columnsOf(series: Series, names: readonly Exclude<keyof Series, 'at'>[]): Columns {
  const at: number[] = []
  const lines: (number | null)[][] = names.map(() => [])
  for (const [index, ms] of series.at.entries()) {
    const seconds = ms / 1000
    const last = at.at(-1)
    if (last !== undefined && seconds - last > GAP) {
      at.push(last + 1)
      for (const line of lines) line.push(null)
    }
    at.push(seconds)
    for (const [line, name] of names.entries()) lines[line]?.push(series[name][index] ?? null)
  }
  return [at, ...lines]
}

/** Seconds that a chart shows at least, however little is known. */
const LEAST = 60

/**
 * What the charts show at once, in seconds: the last five minutes up to the newest point, or to `now` (ms); less, while
 * less is known.
 */
export function windowOf(series: Series, now: number): readonly [from: number, to: number] {
  const to = (series.at.at(-1) ?? now) / 1000
  const known = to - (series.at[0] ?? now) / 1000
  return [to - Math.min(POINTS - 1, Math.max(LEAST, known)), to]
}

/** The highest value of the y axis: room above the line, and never so little that noise looks like a mountain. */
export function ceiling(highest: number | null, least: number): number {
  return Math.max(least, (highest ?? 0) * 1.1)
}

/** The faults that a chart shows. */
export function marksIn(marks: readonly Mark[], [from, to]: readonly [number, number]): readonly Mark[] {
  return marks.filter(({ at }) => at / 1000 >= from && at / 1000 <= to + 1)
}

/** The value of a line at a time (seconds); null where there is none within two seconds. */
export function valueAt(columns: Columns, line: number, seconds: number): number | null {
  let best: number | null = null
  let distance = 2
  for (const [index, at] of columns[0].entries()) {
    const value = columns[line + 1]?.[index] ?? null
    if (value !== null && Math.abs(at - seconds) < distance) {
      distance = Math.abs(at - seconds)
      best = value
    }
  }
  return best
}
