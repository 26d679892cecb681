import { trace } from '@opentelemetry/api'
import type { OperatorFunction } from 'rxjs'
import { RedisError } from './connection.ts'
import { tellMissing } from './events.ts'
import { gather } from './gather.ts'
import { noteOf, runsOf } from './history.ts'
import { encodeReturned, packages } from './message.ts'
import type { Outcome } from './outcome.ts'
import { Script } from './scripts.ts'
import type { Session } from './session.ts'
import { isSampled, traceparentOf } from './tracing.ts'

/** A settled batch. */
export interface Settled {
  /** Entries whose line is in the output log. */
  readonly done: number
  /** Messages that wait for another attempt. */
  readonly retried: number
  readonly dead: number
  /** Entries that a peer had taken over: their outcomes were dropped. */
  readonly fenced: number
  /** Messages appended to the next stream. */
  readonly forwarded: number
}

/** A script refuses more than this, so that Redis is never busy with one batch for long. */
const MAX_ENTRIES = 1000
const MAX_BYTES = 1024 * 1024

const script = new Script<
  [
    end: number,
    fenced: string[],
    done: number,
    retried: number,
    dead: number,
    missing: string[],
    forwarded: number,
  ]
>('commit')

/**
 * Settles outcomes, one commit at a time: what arrives while one is under way goes into the next.
 * Emits what was settled; errors with `RedisError` (FENCED: the session was ended) or `ConnectionLost`.
 */
export function commit(session: Session): OperatorFunction<Outcome[], Settled> {
  return gather(
    waiting => fitting(waiting.sort(byEntry), session),
    batch => settle(session, batch),
  )
}

async function settle(session: Session, batch: Outcome[]): Promise<Settled> {
  const { keys, consumer, events, settings, forward } = session.options
  const sent = forward ? forwarding(batch, session) : []
  const asked = performance.now()
  let lines = ''
  const entries: string[] = []
  const others: (string | number)[] = []
  for (const outcome of batch) {
    entries.push(outcome.entry)
    if (outcome.kind === 'done' && session.writer) lines += `${outcome.line}\n`
    if (outcome.kind === 'done' && (!outcome.past || settings.history === 'off')) continue
    others.push(entries.length, ...described(outcome, session))
  }
  try {
    const [end, refused, done, retried, dead, missing, forwarded] = await script.run(
      session.redis,
      [
        keys.stream,
        keys.sessions,
        keys.counts,
        keys.dead,
        keys.files,
        keys.output(consumer),
        keys.retry,
        keys.waiting,
        keys.history,
        ...(forward ? [forward.keys.stream, forward.keys.head] : []),
      ],
      [
        keys.group,
        consumer,
        session.token,
        lines,
        entries.length,
        entries[0] as string,
        entries.at(-1) as string,
        entries.join(' '),
        settings.history === 'all' ? runsOf(batch) : '',
        settings.historyTtl,
        sent.length,
        ...sent,
        ...others,
      ],
    )
    if (session.writer) session.committed = end
    if (lines !== '' && refused.length === 0) session.writer?.committed(end, lines)
    for (const entry of entries) session.held.settle(entry)
    session.held.changed()
    const settled = { done, retried, dead, fenced: refused.length, forwarded }
    events.next({ type: 'committed', ...settled, end, ms: performance.now() - asked })
    if (refused.length > 0) events.next({ type: 'fenced', count: refused.length })
    tellMissing(events, missing)
    observe(session, batch, asked, new Set(refused), new Set(missing))
    return settled
  } catch (error) {
    if (error instanceof RedisError && error.code === 'FENCED') {
      events.next({ type: 'fenced', count: entries.length })
      observe(session, batch, asked, new Set(entries), new Set())
    }
    throw error
  }
}

/** What the script is told of messages for the next stream; nothing when there are none. */
function forwarding(batch: Outcome[], { options: { keys }, next }: Session): (string | number)[] {
  const found: (string | number)[] = []
  for (const [n, outcome] of batch.entries()) {
    if (outcome.kind !== 'done' || !outcome.forwards) continue
    const from = JSON.stringify({ stream: keys.stream, package: outcome.package })
    const bodies = outcome.forwards.map(body => `,"from":${from},"body":${body}}}`)
    const span = outcome.trace && trace.getSpanContext(outcome.trace)
    const traceparent = isSampled(span) ? traceparentOf(outcome.trace) : ''
    found.push(n + 1, traceparent, bodies.length, ...bodies)
  }
  return found.length > 0 ? [next as string, packages(1).before, ...found] : []
}

/** What the script is told of an outcome that is more than a line. */
function described(outcome: Outcome, { options, epoch }: Session): (string | number)[] {
  const { keys, settings, consumer } = options
  const { kind, package: number = '' } = outcome
  const traceparent = outcome.begun ? traceparentOf(outcome.trace) : ''
  const note = settings.history === 'off' ? '' : noteOf(outcome, consumer)
  switch (kind) {
    case 'done':
    case 'skip':
      return [kind, number, note, 0]
    case 'retry': {
      const { delay, past } = outcome
      const returned = past ? encodeReturned(keys.group, past) : ''
      return [kind, number, note, 3, Math.ceil(delay), returned, traceparent]
    }
    case 'dead': {
      const { entry, reason, detail, stack = '', past } = outcome
      const letter = {
        reason,
        detail,
        entry,
        group: keys.group,
        consumer,
        ...(number !== '' && { package: number }),
        ...(stack && { stack }),
        id: past?.id ?? entry,
        attempts: past?.attempt ?? 0,
        replays: past?.replays ?? 0,
        failures: JSON.stringify(past?.failures ?? []),
        epoch,
      }
      const fields = Object.entries(letter).flat()
      return [kind, number, note, 1 + fields.length, traceparent, ...fields]
    }
  }
}

/** Measures and traces what was settled, and says what failed. */
function observe(
  { options: { events }, durations, vitals, spans, writer, committed, flushed }: Session,
  batch: Outcome[],
  asked: number,
  fenced: ReadonlySet<string>,
  missing: ReadonlySet<string>,
): void {
  const now = Date.now()
  for (const { entry, kind, past, package: number } of batch) {
    // An entry's id begins with the time at which it was appended, in ms.
    if (kind === 'done' && !fenced.has(entry)) {
      const ms = Math.max(0, now - Number.parseInt(past?.id ?? entry, 10))
      durations.endToEnd.record(ms / 1000)
      vitals.add(ms, number)
    }
  }
  spans.settled({ outcomes: batch, asked, fenced, end: writer && committed, flushed }, outcome => {
    if (fenced.has(outcome.entry) || missing.has(outcome.entry)) return
    const { entry, package: number } = outcome
    const which = { entry, ...(number && { package: number }) }
    if (outcome.kind === 'retry') {
      const { delay, reason, detail, past } = outcome
      events.next({ type: 'retried', ...which, attempt: past?.attempt ?? 2, delay, reason, detail })
    } else if (outcome.kind === 'dead') {
      const { reason, detail } = outcome
      events.next({ type: 'dead', ...which, reason, detail })
    }
  })
}

/** How many of the outcomes one commit takes. */
function fitting(outcomes: Outcome[], session: Session): number {
  let bytes = 0
  for (let i = 0; i < outcomes.length; i++) {
    bytes += 1 + sizeOf(outcomes[i] as Outcome, session)
    if (i === MAX_ENTRIES || (bytes > MAX_BYTES && i > 0)) return i
  }
  return outcomes.length
}

/** What the script has to move for an outcome, bytes: a line, or a whole message with its failures. */
function sizeOf(outcome: Outcome, { held }: Session): number {
  if (outcome.kind === 'done') {
    const { line, forwards = [] } = outcome
    return forwards.reduce((sum, body) => sum + body.length + 200, Buffer.byteLength(line))
  }
  if (outcome.kind === 'skip') return 0
  const { entry, detail, stack = '', past } = outcome
  const failures = past?.failures ?? []
  const texts = failures.reduce((sum, failure) => sum + failure.detail.length + 100, 0)
  return held.sizeOf(entry) + detail.length + stack.length + texts
}

/** Order of entry ids, `<milliseconds>-<sequence>`. */
function byEntry({ entry: a }: Outcome, { entry: b }: Outcome): number {
  const i = a.indexOf('-')
  const j = b.indexOf('-')
  if (i !== j) return i - j
  const [x, y] = [a.slice(0, i), b.slice(0, j)]
  if (x !== y) return x < y ? -1 : 1
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}
