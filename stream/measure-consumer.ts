import type { Attributes } from '@opentelemetry/api'
import type { Subscription } from 'rxjs'
import type { Events } from './events.ts'
import type { Keys } from './keys.ts'
import {
  createBackpressure,
  type Durations,
  getMeter,
  observe,
  ofGroup,
  requests,
  seconds,
  secondsOfPackages,
} from './metrics.ts'
import { errorTypeOf, REASONS, RETRIED } from './reasons.ts'
import { RecentRate } from './recent-rate.ts'
import { ATTRIBUTE, METRIC } from './semconv.ts'

/** Counts a consumer's events in metrics, and shows how it fares, until it is unsubscribed. */
export function measureConsumer(events: Events, keys: Keys, consumer: string): Subscription {
  const meter = getMeter()
  const counter = (name: string, unit: string, description: string) =>
    meter.createCounter(name, { unit, description })
  const processed = counter(METRIC.processed, '{message}', 'Packages whose line is committed')
  const redeliveries = counter(
    METRIC.redeliveries,
    '{message}',
    'Entries delivered before, here or elsewhere',
  )
  const claims = counter(METRIC.claims, '{message}', 'Entries taken over from peers')
  const fenced = counter(METRIC.fenced, '{message}', 'Outcomes refused: a peer had taken over')
  const dead = counter(METRIC.dead, '{message}', 'Entries that went to the dead letters')
  const retries = counter(METRIC.retries, '{attempt}', 'Failed attempts after which there is another')
  const returned = counter(METRIC.returned, '{message}', 'Messages returned to the stream for a retry')
  const forwarded = counter(METRIC.forwarded, '{message}', 'Messages appended to the next stream')
  const output = counter(METRIC.output, 'By', 'Output written to disk')
  const restarts = counter(METRIC.restarts, '{restart}', 'Sessions or connections lost')
  const request = requests(meter)
  const flush = seconds(meter, METRIC.flushDuration, 'One write of output with its fdatasync')
  const stored = seconds(meter, METRIC.storeDuration, 'One batch stored by the sink')
  const rate = new RecentRate()
  const group = ofGroup(keys)
  const mine = { ...group, [ATTRIBUTE.consumer]: consumer }
  const settle = { ...group, [ATTRIBUTE.operation]: 'settle' }
  const ofType = (type: string) => ({ ...group, [ATTRIBUTE.errorType]: type })
  const known = new Map<string, Attributes>(REASONS.map(reason => [reason, ofType(reason)]))
  const of = (reason: string) => known.get(reason) ?? ofType(errorTypeOf(reason))
  // What counts faults is there from the start: a first fault is an increase only from a zero.
  processed.add(0, mine)
  for (const zero of [redeliveries, claims, fenced, restarts, returned, forwarded]) zero.add(0, group)
  for (const reason of RETRIED) retries.add(0, of(reason))
  for (const reason of REASONS) dead.add(0, of(reason))
  const subscription = events.subscribe(event => {
    switch (event.type) {
      case 'committed':
        processed.add(event.done, mine)
        rate.add(event.done)
        if (event.forwarded > 0) forwarded.add(event.forwarded, group)
        request.record(event.ms / 1000, settle)
        break
      case 'delivered':
        if (event.again) redeliveries.add(event.count, group)
        break
      case 'claimed':
        claims.add(event.count, group)
        if (event.lost > 0) dead.add(event.lost, of('payload missing'))
        break
      case 'fenced':
        fenced.add(event.count, group)
        break
      case 'dead':
        dead.add(1, of(event.reason))
        break
      case 'retried':
        retries.add(1, of(event.reason))
        break
      case 'returned':
        returned.add(event.count, group)
        break
      case 'flushed':
        output.add(
          event.bytes,
          event.consumer === consumer ? mine : { ...group, [ATTRIBUTE.consumer]: event.consumer },
        )
        flush.record(event.ms / 1000, group)
        break
      case 'stored':
        stored.record(event.ms / 1000, group)
        break
      case 'restarting':
        restarts.add(1, group)
        break
    }
  })
  subscription.add(observeProcess(mine, rate))
  return subscription
}

/** What a consumer's process gets done just now, and what it takes for that. */
function observeProcess(mine: Attributes, rate: RecentRate): () => void {
  const meter = getMeter()
  // Prometheus would add a unit that is by the second to a name that says so already.
  const done = meter.createObservableGauge(METRIC.recentRate, {
    unit: '{message}',
    description: 'Packages done, over the last seconds',
  })
  const memory = meter.createObservableGauge(METRIC.memory, { unit: 'By', description: 'Resident memory' })
  return observe(meter, [done, memory], result => {
    result.observe(done, rate.perSecond, mine)
    result.observe(memory, process.memoryUsage.rss(), mine)
  })
}

/** Why a consumer does not read just now. */
export interface Load {
  /** Entries received and not settled. */
  readonly size: number
  readonly full: boolean
  readonly blocked: Blocked | undefined
  /** Seconds in which it had nothing to do. */
  readonly idle: number
}

/** Too much output waits for the disk, too many packages for those who read the next stream, or people want it so. */
export type Blocked = 'disk' | 'next' | 'paused'

/** Shows what a consumer has in hand, and how long that was nothing. Returns what ends that. */
export function observeLoad(
  { keys, consumer }: { keys: Keys; consumer: string },
  load: () => Load,
): () => void {
  const meter = getMeter()
  const held = meter.createObservableGauge(METRIC.held, {
    unit: '{message}',
    description: 'Entries received and not settled',
  })
  const backpressure = createBackpressure(meter)
  const idle = meter.createObservableCounter(METRIC.idle, {
    unit: 's',
    description: 'Time with nothing in hand and nothing that kept it from reading',
  })
  const group = ofGroup(keys)
  const mine = { ...group, [ATTRIBUTE.consumer]: consumer }
  return observe(meter, [held, backpressure, idle], result => {
    const { size, full, blocked, idle: waited } = load()
    result.observe(held, size, group)
    result.observe(idle, waited, mine)
    result.observe(backpressure, Number(full), { ...group, [ATTRIBUTE.reason]: 'held' })
    for (const reason of ['disk', 'next'] as const)
      result.observe(backpressure, Number(blocked === reason), { ...group, [ATTRIBUTE.reason]: reason })
  })
}

/** Durations of single packages, in seconds, which are too many to be events. */
export interface PackageDurations {
  /** The handler. */
  readonly process: Durations
  /** From being appended, by Redis' clock, to being committed, by this process' clock. */
  readonly endToEnd: Durations
}

export function packageDurations(keys: Keys): PackageDurations {
  const meter = getMeter()
  const group = ofGroup(keys)
  return {
    process: secondsOfPackages(meter, METRIC.processDuration, 'The handler, one package', group),
    endToEnd: secondsOfPackages(meter, METRIC.endToEnd, 'Appended until committed, one package', group),
  }
}
