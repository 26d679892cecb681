import { setTimeout as sleep } from 'node:timers/promises'
import { identity, type OperatorFunction } from 'rxjs'
import { backoff } from './backoff.ts'
import { gather } from './gather.ts'
import { type Outcome, refused } from './outcome.ts'
import type { Session } from './session.ts'
import type { Finished, Refused, Sink } from './sink.ts'

/** What a sink is given at once, at most. */
const MAX_ENTRIES = 1000
const MAX_BYTES = 4 * 1024 * 1024

/**
 * Has the session's sink store what is done, in batches, and emits outcomes when they may be committed: what
 * the sink refuses is dead. While the sink cannot be reached they wait, and with them reading. Without a sink it
 * changes nothing. Errors when the session is lost meanwhile.
 */
export function store(session: Session): OperatorFunction<Outcome[], Outcome[]> {
  const { sink } = session.options
  if (!sink) return identity
  return gather(
    waiting => fitting(waiting, session),
    batch => storeAll(session, sink, batch),
    sink.concurrency,
  )
}

async function storeAll(session: Session, sink: Sink, batch: Outcome[]): Promise<Outcome[]> {
  const finished = batch.map(finishedOf).filter(found => found !== undefined)
  if (finished.length === 0) return batch
  const refusals = await untilStored(session, sink, finished)
  if (refusals.size === 0) return batch
  return batch.map(outcome => {
    const detail = refusals.get(outcome.entry)
    const done = finishedOf(outcome)
    return done && detail !== undefined ? refused(done, detail, outcome, session.options) : outcome
  })
}

async function untilStored(session: Session, sink: Sink, finished: readonly Finished[]): Promise<Refused> {
  const { keys, consumer, events } = session.options
  const origin = { stream: keys.stream, group: keys.group, epoch: session.epoch, consumer }
  const { signal } = session.lost
  for (let attempt = 1; ; attempt++) {
    const asked = performance.now()
    try {
      const refusals = await sink.store(finished, origin, signal)
      const count = finished.length - refusals.size
      events.next({ type: 'stored', count, refused: refusals.size, ms: performance.now() - asked })
      if (attempt > 1) events.next({ type: 'outputResumed', consumer })
      return refusals
    } catch (error) {
      signal.throwIfAborted()
      if (attempt === 1) events.next({ type: 'outputBlocked', consumer, error: error as Error })
      await sleep(backoff(attempt), undefined, { signal })
    }
  }
}

function finishedOf(outcome: Outcome): Finished | undefined {
  return outcome.kind === 'done' ? outcome.finished : undefined
}

/** How many of the outcomes go into one batch. */
function fitting(outcomes: Outcome[], { held }: Session): number {
  let bytes = 0
  for (let i = 0; i < outcomes.length; i++) {
    bytes += held.sizeOf((outcomes[i] as Outcome).entry)
    if (i === MAX_ENTRIES || (bytes > MAX_BYTES && i > 0)) return i
  }
  return outcomes.length
}
