import type { Control, Life, Liveness, Rates, StreamState, Trimmed, Vitals } from '@conveyor/stream'
import type { Balance, Consumer, Delta, Latency, Seen, Snapshot, Trim } from './contract.ts'

/** What else than the state of the stream a snapshot shows. */
export interface Beside {
  readonly liveness: Liveness
  readonly rates: Rates
  readonly control: ReadonlyMap<string, Control>
  readonly vitals: ReadonlyMap<string, Vitals>
  readonly trims: readonly ({ readonly at: number } & Trimmed)[]
  /** Consumers of whose outcomes some were refused of late. */
  readonly fenced: ReadonlySet<string>
  /** The last package of each consumer's file. */
  readonly lastPackages: ReadonlyMap<string, number>
}

/** The counters whose rates are shown. */
export function counters({ sequence, done, dead, consumers }: StreamState): [string, number][] {
  return [
    ['in', sequence],
    ['out', done + dead],
    ...consumers.map(({ id, done }): [string, number] => [`done:${id}`, done]),
  ]
}

export function seenOf(state: StreamState, beside: Beside): Seen {
  const { rates } = beside
  const live = state.consumers.filter(({ session }) => session === 'live').map(({ id }) => id)
  return {
    run: state.epoch ?? '',
    length: state.length,
    memory: state.memory ?? null,
    in: rounded(rates.of('in')),
    out: rounded(rates.of('out')),
    lag: lagOf(state),
    latency: slowest(live.map(id => latencyOf(beside.vitals.get(id)))),
    pending: state.pending,
    waiting: state.waiting,
    nextDue: state.nextDue ?? null,
    deadLetters: { reasons: state.letters, all: state.deadLetters },
    balance: balanceOf(state),
    claimed: state.claimed,
    fenced: state.fenced,
    lost: state.lost,
    retried: state.retried,
    unflushed: state.unflushed,
    consumers: state.consumers.map(consumer => consumerOf(consumer, state, beside)),
    trim: trimOf(state, beside.trims),
  }
}

function lagOf({ lag, oldestUndelivered = 0, oldestPending = 0 }: StreamState): Seen['lag'] {
  return { packages: lag, ms: Math.max(oldestUndelivered, oldestPending) }
}

function balanceOf(state: StreamState): Balance {
  const { sequence, done, dead, replayed, purged, waiting, pending, lag } = state
  return {
    givenOut: sequence,
    committed: done,
    deadLetters: dead - replayed - purged,
    purged,
    waiting,
    pending,
    undelivered: lag,
  }
}

function consumerOf(one: StreamState['consumers'][number], state: StreamState, beside: Beside): Consumer {
  const { id } = one
  const vitals = beside.vitals.get(id)
  return {
    id,
    state: lifeOf(beside.liveness.of(one), beside.fenced.has(id)),
    control: beside.control.get(id) ?? null,
    holder: one.holder ?? null,
    pending: one.pending,
    oldestPending: one.oldestPending ?? null,
    deliveries: one.deliveries ?? null,
    processed: one.done,
    perSecond: rounded(beside.rates.of(`done:${id}`)),
    share: state.done === 0 ? 0 : one.done / state.done,
    claimed: one.claimed,
    fenced: one.fenced,
    redelivered: vitals?.redelivered ?? null,
    unflushed: one.unflushed,
    lastPackage: beside.lastPackages.get(id) || vitals?.package || null,
    latency: one.session === 'live' ? latencyOf(vitals) : null,
  }
}

/** One that was fenced and goes on is live; while it stands still, that is worth more than that it does. */
function lifeOf(life: Life, fenced: boolean): Consumer['state'] {
  return fenced && life !== 'dead' && life !== 'gone' ? 'fenced' : life
}

function latencyOf(vitals: Vitals | undefined): Latency | null {
  if (!vitals || vitals.p50 === null || vitals.p99 === null || vitals.max === null) return null
  return { p50: vitals.p50, p99: vitals.p99, max: vitals.max }
}

/** Of all consumers: the middle of their medians, and the worst of the rest. */
function slowest(all: readonly (Latency | null)[]): Latency | null {
  const known = all.filter(one => one !== null)
  if (known.length === 0) return null
  const medians = known.map(({ p50 }) => p50).sort((a, b) => a - b)
  return {
    p50: medians[medians.length >> 1] ?? 0,
    p99: Math.max(...known.map(({ p99 }) => p99)),
    max: Math.max(...known.map(({ max }) => max)),
  }
}

function trimOf({ at, first, floor, groups, missing }: StreamState, last: Beside['trims']): Trim {
  const age = (entry: string) => Math.max(0, at - Number.parseInt(entry, 10))
  return {
    first: first === undefined ? null : { entry: first, age: age(first) },
    floor: floor === undefined ? null : { entry: floor.entry, age: age(floor.entry), group: floor.group },
    groups,
    missingGroups: missing,
    last: last.map(({ at, removed, length, pinnedBy }) => ({
      at,
      removed,
      length,
      pinnedBy: pinnedBy ?? null,
    })),
  }
}

function rounded(rate: number | undefined): number | null {
  return rate === undefined ? null : Math.round(rate * 100) / 100
}

/** What changes most of a snapshot. */
export function deltaOf({ number, at, seen, verdict }: Snapshot): Delta | undefined {
  if (!seen) return undefined
  const { in: given, out, lag, pending, waiting, unflushed, consumers } = seen
  const { by, run, judgedTo, bytes, bytesLeft, at: judged, ...changing } = verdict
  return {
    number,
    at,
    in: given,
    out,
    lag,
    pending,
    waiting,
    unflushed,
    verdict: changing,
    consumers: consumers.map(({ id, state, pending, processed, perSecond }) => ({
      id,
      state,
      pending,
      processed,
      perSecond,
    })),
  }
}
