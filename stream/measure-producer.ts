import type { Attributes } from '@opentelemetry/api'
import type { Subscription } from 'rxjs'
import type { Events } from './events.ts'
import type { ConsumerState, StreamState } from './inspect.ts'
import { createBackpressure, getMeter, observe, ofGroup, ofStream, requests } from './metrics.ts'
import { errorTypeOf } from './reasons.ts'
import { ATTRIBUTE, METRIC } from './semconv.ts'

/**
 * Ms for which a consumer that has left is shown to have nothing. Whoever keeps what was last reported would show for a
 * while what it last had; longer than the SDK's default of 60 s between two exports.
 */
const GONE = 90_000

/** Ms after which what was last seen of the stream is no longer shown. */
const STALE = 10_000

/** What only the producer itself knows. */
export interface ProducerLoad {
  /** Whether it waits because the slowest group is too far behind. */
  readonly backpressure: boolean
  /** The group that keeps the stream from being trimmed. */
  readonly pinnedBy: string | null
}

/** Counts what a process appends to a stream, and how long that takes, until it is unsubscribed. */
export function measureAppends(events: Events, stream: string): Subscription {
  const mine = ofStream(stream)
  const produced = counter(mine, METRIC.produced, '{message}', 'Packages given out')
  const restarts = counter(mine, METRIC.restarts, '{restart}', 'Sessions or connections lost')
  const request = requests(getMeter())
  const send = { ...mine, [ATTRIBUTE.operation]: 'send' }
  return events.subscribe(event => {
    if (event.type === 'appended') {
      produced.add(event.count, mine)
      request.record(event.ms / 1000, send)
    } else if (event.type === 'restarting') restarts.add(1, mine)
  })
}

/**
 * Counts a producer's events in metrics, and shows the stream and its groups as they were last inspected,
 * until it is unsubscribed. One process does so for all: a sum over consumers would count them many times.
 */
export function measureProducer(events: Events, stream: string, load: () => ProducerLoad): Subscription {
  const mine = ofStream(stream)
  const trimmed = counter(mine, METRIC.trimmed, '{message}', 'Entries trimmed')
  const trims = counter(mine, METRIC.trims, '{operation}', 'Trims')
  const groups = new Groups(stream)
  const subscription = events.subscribe(event => {
    if (event.type === 'trimmed') {
      trimmed.add(event.removed, mine)
      trims.add(1, mine)
    } else if (event.type === 'inspected') groups.see(event.group, event.state)
  })
  subscription.add(measureAppends(events, stream))
  subscription.add(observeGroups(groups))
  subscription.add(observeFailures(groups))
  subscription.add(observeProducer(load, groups))
  return subscription
}

function counter(mine: Attributes, name: string, unit: string, description: string) {
  const created = getMeter().createCounter(name, { unit, description })
  created.add(0, mine) // a first one is an increase only from a zero
  return created
}

/** What was last seen of each group. */
class Groups {
  /** Attributes of what is about the stream. */
  readonly attributes: Attributes
  private readonly seen = new Map<string, { state: StreamState; at: number }>()
  /** Group -> how many dead letters for each reason that there has been: one that is gone is shown as 0. */
  private readonly byReason = new Map<string, Map<string, number>>()
  /** Group -> consumer -> when it was last there. */
  private readonly consumers = new Map<string, Map<string, number>>()
  /** Group and consumer -> its beat, and when it was first seen there, by performance.now(). */
  private beats = new Map<string, { beat: number; since: number }>()

  constructor(private readonly stream: string) {
    this.attributes = ofStream(stream)
  }

  /** Attributes of what is about a group. */
  of(group: string): Attributes {
    return ofGroup({ stream: this.stream, group })
  }

  see(group: string, state: StreamState): void {
    const at = performance.now()
    this.seen.set(group, { state, at })
    const letters = new Map([...this.letters(group).keys()].map(reason => [reason, 0]))
    for (const [reason, count] of Object.entries(state.letters)) {
      const type = errorTypeOf(reason)
      letters.set(type, (letters.get(type) ?? 0) + count)
    }
    this.byReason.set(group, letters)
    const consumers = this.consumers.get(group) ?? new Map<string, number>()
    this.consumers.set(group, consumers)
    for (const { id } of state.consumers.filter(isThere)) consumers.set(id, at)
    for (const [id, last] of consumers) if (at - last > GONE) consumers.delete(id)
    const live = new Set<string>()
    for (const { id, beat, session } of state.consumers) {
      if (session !== 'live') continue
      const key = `${group} ${id}`
      live.add(key)
      if (this.beats.get(key)?.beat !== beat) this.beats.set(key, { beat, since: at })
    }
    for (const key of this.beats.keys())
      if (key.startsWith(`${group} `) && !live.has(key)) this.beats.delete(key)
  }

  /** Groups whose state is not too old to be shown. */
  get fresh(): [group: string, state: StreamState][] {
    const now = performance.now()
    return [...this.seen].flatMap(([group, { state, at }]) => (now - at < STALE ? [[group, state]] : []))
  }

  /** The group's dead letters by reason. */
  letters(group: string): ReadonlyMap<string, number> {
    return this.byReason.get(group) ?? new Map()
  }

  /** Consumers that were there lately, and are not any more. */
  gone(group: string, { consumers }: StreamState): string[] {
    const there = new Set(consumers.filter(isThere).map(({ id }) => id))
    return [...(this.consumers.get(group)?.keys() ?? [])].filter(id => !there.has(id))
  }

  /** Seconds since a heartbeat was first seen; undefined for a consumer without a session. */
  beatAge(group: string, consumer: string): number | undefined {
    const beat = this.beats.get(`${group} ${consumer}`)
    return beat && (performance.now() - beat.since) / 1000
  }
}

/** Whether more is left of a consumer than its file. */
function isThere({ session, pending, unflushed }: ConsumerState): boolean {
  return session !== 'none' || pending > 0 || unflushed > 0
}

function observeGroups(groups: Groups): () => void {
  const meter = getMeter()
  const gauge = (name: string, unit: string, description: string) =>
    meter.createObservableGauge(name, { unit, description })
  const length = gauge(METRIC.length, '{message}', 'Entries in the stream')
  const givenOut = gauge(METRIC.givenOut, '{message}', 'Last package number of this run')
  const done = gauge(METRIC.done, '{message}', 'Packages of this run whose line is committed')
  const lag = gauge(METRIC.lag, '{message}', 'Packages not yet delivered to the group')
  const pending = gauge(METRIC.pending, '{message}', 'Entries delivered and not settled')
  const oldest = gauge(METRIC.oldestPending, 's', 'Age of the oldest pending entry')
  const heartbeat = gauge(METRIC.heartbeat, 's', 'Since the last heartbeat')
  const unflushed = gauge(METRIC.unflushed, 'By', 'Output committed and not known to be on disk')
  const all = [length, givenOut, done, lag, pending, oldest, heartbeat, unflushed]
  return observe(meter, all, result => {
    const fresh = groups.fresh
    const [first] = fresh
    if (!first) return
    result.observe(length, first[1].length, groups.attributes)
    result.observe(givenOut, first[1].sequence, groups.attributes)
    result.observe(done, Math.min(...fresh.map(([, state]) => state.done)), groups.attributes)
    for (const [group, state] of fresh) {
      const mine = groups.of(group)
      result.observe(lag, state.lag, mine)
      result.observe(oldest, (state.oldestPending ?? 0) / 1000, mine)
      for (const { id, pending: held, unflushed: bytes } of state.consumers.filter(isThere)) {
        const ofConsumer = { ...mine, [ATTRIBUTE.consumer]: id }
        result.observe(pending, held, ofConsumer)
        result.observe(unflushed, bytes, ofConsumer)
        const age = groups.beatAge(group, id)
        if (age !== undefined) result.observe(heartbeat, age, ofConsumer)
      }
      for (const id of groups.gone(group, state)) {
        result.observe(pending, 0, { ...mine, [ATTRIBUTE.consumer]: id })
        result.observe(unflushed, 0, { ...mine, [ATTRIBUTE.consumer]: id })
      }
    }
  })
}

/** What waits for another attempt, and what became of messages that were given up. */
function observeFailures(groups: Groups): () => void {
  const meter = getMeter()
  const unit = '{message}'
  const gauge = (name: string, unit: string, description: string) =>
    meter.createObservableGauge(name, { unit, description })
  const total = (name: string, description: string) =>
    meter.createObservableCounter(name, { unit, description })
  const waiting = gauge(METRIC.waiting, unit, 'Messages that wait for another attempt')
  const overdue = gauge(METRIC.overdue, 's', 'How late the first message is that waits for another attempt')
  const deadLetters = gauge(METRIC.deadLetters, unit, 'Entries in the dead letters')
  const letters = gauge(METRIC.letters, unit, 'Dead letters of the group')
  const replays = total(METRIC.replays, 'Dead letters of this run that were replayed')
  const purged = total(METRIC.purged, 'Dead letters of this run that were deleted for good')
  return observe(meter, [waiting, overdue, deadLetters, letters, replays, purged], result => {
    const fresh = groups.fresh
    for (const [, state] of fresh.slice(0, 1))
      result.observe(deadLetters, state.deadLetters, groups.attributes)
    for (const [group, state] of fresh) {
      const mine = groups.of(group)
      result.observe(waiting, state.waiting, mine)
      result.observe(overdue, Math.max(0, -(state.nextDue ?? 0)) / 1000, mine)
      result.observe(replays, state.replayed, mine)
      result.observe(purged, state.purged, mine)
      for (const [reason, count] of groups.letters(group))
        result.observe(letters, count, { ...mine, [ATTRIBUTE.errorType]: reason })
    }
  })
}

function observeProducer(load: () => ProducerLoad, groups: Groups): () => void {
  const meter = getMeter()
  const pinned = meter.createObservableGauge(METRIC.pinned, {
    description: '1 while the group keeps the stream from being trimmed',
  })
  const backpressure = createBackpressure(meter)
  return observe(meter, [pinned, backpressure], result => {
    const { backpressure: waits, pinnedBy } = load()
    result.observe(backpressure, Number(waits), { ...groups.attributes, [ATTRIBUTE.reason]: 'backlog' })
    for (const [group] of groups.fresh) result.observe(pinned, Number(group === pinnedBy), groups.of(group))
  })
}
