import { withoutPassword } from '@conveyor/service'
import type { Keys, Life, Liveness, Rates, StreamState } from '@conveyor/stream'

/** What `conveyor monitor` shows, of one instant; with `--json`, this is what it prints. Ages and times in seconds. */
export type Report = Seen | Unseen

interface Where {
  /** ISO 8601: Redis' clock, or this machine's when Redis cannot be reached. */
  readonly at: string
  /** Its URL, without a password. */
  readonly redis: string
  readonly stream: string
  readonly group: string
}

/** There is nothing to show. */
export interface Unseen extends Where {
  readonly status: 'unreachable' | 'no-stream'
}

export interface Seen extends Where {
  /** `no-group`: the group is not there, so all that is said of it is 0. */
  readonly status: 'ok' | 'no-group'
  /** Name of the stream's present life. */
  readonly run: string
  /** Entries in the stream. */
  readonly length: number
  /** Bytes that the stream takes, as MEMORY USAGE estimates them; null when Redis does not say. */
  readonly memory: number | null
  /** The oldest entry that is kept. */
  readonly first: { readonly entry: string; readonly age: number } | null
  /** The oldest entry that a recorded group still needs, and which group: trimming stops there. */
  readonly floor: { readonly entry: string; readonly age: number; readonly group: string } | null
  /** Recorded groups that are not there. Nothing is appended or trimmed then. */
  readonly missingGroups: readonly string[]
  /** Packages per second over the last few seconds: given out, and settled by the group. Null before the second look. */
  readonly in: number | null
  readonly out: number | null
  /** Packages not yet delivered, and how old the oldest entry is that is not settled. */
  readonly lag: { readonly packages: number; readonly seconds: number }
  readonly pending: number
  /** Messages that wait for another attempt, and when the first of them is due; negative when it is late. */
  readonly retries: { readonly waiting: number; readonly nextDue: number | null }
  /** Dead letters of the group and run that are there now, by reason; and all of the stream, earlier runs' included. */
  readonly deadLetters: { readonly reasons: Readonly<Record<string, number>>; readonly all: number }
  readonly balance: Balance
  /** Sums over the run. */
  readonly claimed: number
  readonly fenced: number
  readonly lost: number
  /** Bytes of output committed and not known to be on disk. */
  readonly unflushed: number
  readonly consumers: readonly ConsumerReport[]
}

/** Where the packages are that were given out: the rest of the figures add up to the first. */
export interface Balance {
  readonly givenOut: number
  readonly committed: number
  readonly deadLetters: number
  readonly purged: number
  readonly waiting: number
  readonly pending: number
  readonly undelivered: number
  /**
   * What is missing from the sum; negative when entries of others were settled, too. Null while anything is
   * undelivered: messages that came back are not told apart from new ones there.
   */
  readonly unaccounted: number | null
}

export interface ConsumerReport {
  readonly id: string
  readonly state: Life
  /** host/pid of the process that holds its session; null when it has none. */
  readonly holder: string | null
  readonly pending: number
  /** Age of its oldest pending entry, and how many times that was delivered. */
  readonly oldestPending: number | null
  readonly deliveries: number | null
  /** Packages whose line it has committed in this run, and per second. */
  readonly processed: number
  readonly perSecond: number | null
  readonly claimed: number
  readonly fenced: number
  readonly unflushed: number
}

/** @param url of Redis; a password in it is not shown */
export function where(url: string, { stream, group }: Keys, at = Date.now()): Where {
  return { at: new Date(at).toISOString(), redis: withoutPassword(url), stream, group }
}

/** The counters whose rates are reported. */
export function counters({ sequence, done, dead, consumers }: StreamState): [string, number][] {
  return [
    ['in', sequence],
    ['out', done + dead],
    ...consumers.map(({ id, done }): [string, number] => [`done:${id}`, done]),
  ]
}

export function reportOf(url: string, keys: Keys, state: StreamState, life: Liveness, rates: Rates): Report {
  const here = where(url, keys, state.at)
  if (state.epoch === undefined) return { ...here, status: 'no-stream' }
  const age = (entry: string) => Math.max(0, state.at - Number.parseInt(entry, 10)) / 1000
  const { first, floor } = state
  return {
    ...here,
    status: state.group ? 'ok' : 'no-group',
    run: state.epoch,
    length: state.length,
    memory: state.memory ?? null,
    first: first === undefined ? null : { entry: first, age: age(first) },
    floor: floor === undefined ? null : { entry: floor.entry, age: age(floor.entry), group: floor.group },
    missingGroups: state.missing,
    in: rounded(rates.of('in')),
    out: rounded(rates.of('out')),
    lag: {
      packages: state.lag,
      seconds: Math.max(state.oldestUndelivered ?? 0, state.oldestPending ?? 0) / 1000,
    },
    pending: state.pending,
    retries: {
      waiting: state.waiting,
      nextDue: state.nextDue === undefined ? null : state.nextDue / 1000,
    },
    deadLetters: { reasons: state.letters, all: state.deadLetters },
    balance: balanceOf(state),
    claimed: state.claimed,
    fenced: state.fenced,
    lost: state.lost,
    unflushed: state.unflushed,
    consumers: state.consumers.map(consumer => ({
      id: consumer.id,
      state: life.of(consumer),
      holder: consumer.holder ?? null,
      pending: consumer.pending,
      oldestPending: consumer.oldestPending === undefined ? null : consumer.oldestPending / 1000,
      deliveries: consumer.deliveries ?? null,
      processed: consumer.done,
      perSecond: rounded(rates.of(`done:${consumer.id}`)),
      claimed: consumer.claimed,
      fenced: consumer.fenced,
      unflushed: consumer.unflushed,
    })),
  }
}

function rounded(rate: number | undefined): number | null {
  return rate === undefined ? null : Math.round(rate * 100) / 100
}

function balanceOf(state: StreamState): Balance {
  const { sequence, done, dead, replayed, purged, waiting, pending, lag, oldestUndelivered } = state
  const deadLetters = dead - replayed - purged
  const settled = done + deadLetters + purged
  return {
    givenOut: sequence,
    committed: done,
    deadLetters,
    purged,
    waiting,
    pending,
    undelivered: lag,
    unaccounted:
      oldestUndelivered === undefined && state.group ? sequence - settled - waiting - pending : null,
  }
}
