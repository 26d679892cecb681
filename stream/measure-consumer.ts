import type { Subscription } from 'rxjs'
import type { Events } from './events.ts'
import {
  createBackpressure,
  type Durations,
  getMeter,
  observe,
  requests,
  seconds,
  secondsOfPackages,
} from './metrics.ts'
import { errorTypeOf, RETRIED } from './reasons.ts'
import { ATTRIBUTE, METRIC } from './semconv.ts'

/** Counts a consumer's events in metrics, until it is unsubscribed. */
export function measureConsumer(events: Events, consumer: string): Subscription {
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
  const mine = { [ATTRIBUTE.consumer]: consumer }
  const settle = { [ATTRIBUTE.operation]: 'settle' }
  // What counts faults is there from the start: a first fault is an increase only from a zero.
  processed.add(0, mine)
  for (const zero of [redeliveries, claims, fenced, restarts, returned, forwarded]) zero.add(0)
  for (const reason of RETRIED) retries.add(0, of(reason))
  return events.subscribe(event => {
    switch (event.type) {
      case 'committed':
        processed.add(event.done, mine)
        if (event.forwarded > 0) forwarded.add(event.forwarded)
        request.record(event.ms / 1000, settle)
        break
      case 'delivered':
        if (event.again) redeliveries.add(event.count)
        break
      case 'claimed':
        claims.add(event.count)
        if (event.lost > 0) dead.add(event.lost, of('payload missing'))
        break
      case 'fenced':
        fenced.add(event.count)
        break
      case 'dead':
        dead.add(1, of(event.reason))
        break
      case 'retried':
        retries.add(1, of(event.reason))
        break
      case 'returned':
        returned.add(event.count)
        break
      case 'flushed':
        output.add(event.bytes, { [ATTRIBUTE.consumer]: event.consumer })
        flush.record(event.ms / 1000)
        break
      case 'restarting':
        restarts.add(1)
        break
    }
  })
}

const of = (reason: string) => ({ [ATTRIBUTE.errorType]: errorTypeOf(reason) })

/** Why a consumer does not read just now. */
export interface Load {
  /** Entries received and not settled. */
  readonly size: number
  readonly full: boolean
  readonly blocked: Blocked | undefined
}

/** Too much output waits for the disk, or too many packages for those who read the next stream. */
export type Blocked = 'disk' | 'next'

/** Shows what a consumer has in hand. Returns what ends that. */
export function observeLoad(load: () => Load): () => void {
  const meter = getMeter()
  const held = meter.createObservableGauge(METRIC.held, {
    unit: '{message}',
    description: 'Entries received and not settled',
  })
  const backpressure = createBackpressure(meter)
  return observe(meter, [held, backpressure], result => {
    const { size, full, blocked } = load()
    result.observe(held, size)
    result.observe(backpressure, Number(full), { [ATTRIBUTE.reason]: 'held' })
    for (const reason of ['disk', 'next'] as const)
      result.observe(backpressure, Number(blocked === reason), { [ATTRIBUTE.reason]: reason })
  })
}

/** Durations of single packages, in seconds, which are too many to be events. */
export interface PackageDurations {
  /** The handler. */
  readonly process: Durations
  /** From being appended, by Redis' clock, to being committed, by this process' clock. */
  readonly endToEnd: Durations
}

export function packageDurations(): PackageDurations {
  const meter = getMeter()
  return {
    process: secondsOfPackages(meter, METRIC.processDuration, 'The handler, one package'),
    endToEnd: secondsOfPackages(meter, METRIC.endToEnd, 'Appended until committed, one package'),
  }
}
