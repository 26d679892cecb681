import type { Delta, Series, Snapshot } from '../contract.ts'

/** Points that a chart shows: five minutes, one a second. */
export const POINTS = 300

/**
 * The snapshot with what a delta says in its place. A delta of another snapshot changes nothing: figures are never
 * added up from events, and the next snapshot is a second away.
 */
export function merged(snapshot: Snapshot | null, delta: Delta): Snapshot | null {
  if (!snapshot?.seen || snapshot.number !== delta.number) return snapshot
  const { number: _, at, verdict, consumers, ...seen } = delta
  const changed = new Map(consumers.map(consumer => [consumer.id, consumer]))
  return {
    ...snapshot,
    at,
    verdict: { ...snapshot.verdict, ...verdict },
    seen: {
      ...snapshot.seen,
      ...seen,
      consumers: snapshot.seen.consumers.map(consumer => ({ ...consumer, ...changed.get(consumer.id) })),
    },
  }
}

export const NO_SERIES: Series = { at: [], in: [], out: [], lag: [], lagMs: [], latency: [] }

/** The series with one more point, at most one a second. While Redis is away there is none: the line has a gap. */
export function extended(series: Series, { at, seen }: Snapshot): Series {
  const last = series.at.at(-1)
  if (!seen || (last !== undefined && at < last + 500)) return series
  const add = <T>(values: readonly T[], value: T) => [...values.slice(1 - POINTS), value]
  return {
    at: add(series.at, at),
    in: add(series.in, seen.in),
    out: add(series.out, seen.out),
    lag: add(series.lag, seen.lag.packages),
    lagMs: add(series.lagMs, seen.lag.ms),
    latency: add(series.latency, seen.latency?.p99 ?? null),
  }
}
