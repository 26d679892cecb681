import { concatMap, defer, from, type OperatorFunction, tap } from 'rxjs'
import { RedisError } from './connection.ts'
import type { Outcome } from './handle.ts'
import { Script } from './scripts.ts'
import type { Session } from './session.ts'

/** A settled batch. */
export interface Settled {
  /** Entries whose line is in the output log. */
  readonly done: number
  readonly dead: number
  /** Entries that a peer had taken over: their outcomes were dropped. */
  readonly fenced: number
}

/** A script refuses more than this, so that Redis is never busy with one batch for long. */
const MAX_ENTRIES = 1000
const MAX_BYTES = 1024 * 1024

const script = new Script<[end: number, fenced: string[], done: number, died: string[]]>('commit')

/**
 * Settles outcomes, one commit at a time: what arrives while one is under way goes into the next.
 * Emits what was settled; errors with `RedisError` (FENCED: the session was ended) or `ConnectionLost`.
 */
export function commit(session: Session): OperatorFunction<Outcome[], Settled> {
  return source =>
    defer(() => {
      let waiting: Outcome[] = []
      async function* settleAll(): AsyncGenerator<Settled> {
        while (waiting.length > 0) {
          const all = waiting.sort(byEntry)
          const batch = all.slice(0, fitting(all))
          waiting = all.slice(batch.length)
          yield await settle(session, batch)
        }
      }
      return source.pipe(
        tap(outcomes => {
          waiting = waiting.length > 0 ? waiting.concat(outcomes) : outcomes
        }),
        concatMap(() => from(settleAll())),
      )
    })
}

async function settle(session: Session, batch: Outcome[]): Promise<Settled> {
  const { keys, consumer, events } = session.options
  const asked = performance.now()
  let lines = ''
  const entries: string[] = []
  const others: (string | number)[] = []
  for (const outcome of batch) {
    entries.push(outcome.entry)
    if (outcome.kind === 'dead') others.push(entries.length, 'dead', outcome.reason, outcome.detail)
    else if (session.writer) lines += `${outcome.line}\n`
  }
  try {
    const [end, refused, done, died] = await script.run(
      session.redis,
      [keys.stream, keys.sessions, keys.counts, keys.dead, keys.files, keys.output(consumer)],
      [
        keys.group,
        consumer,
        session.token,
        lines,
        entries.length,
        entries[0] as string,
        entries.at(-1) as string,
        entries.join(' '),
        ...others,
      ],
    )
    if (session.writer) session.committed = end
    for (const entry of entries) session.held.settle(entry)
    session.held.changed()
    const dead = died.length
    const fenced = refused.length
    events.next({ type: 'committed', done, dead, fenced, end, ms: performance.now() - asked })
    if (fenced > 0) events.next({ type: 'fenced', count: fenced })
    observe(session, batch, asked, new Set(refused), new Set(died))
    return { done, dead, fenced }
  } catch (error) {
    if (error instanceof RedisError && error.code === 'FENCED') {
      events.next({ type: 'fenced', count: entries.length })
      observe(session, batch, asked, new Set(entries), new Set())
    }
    throw error
  }
}

/** Measures and traces what was settled, and says what died. */
function observe(
  { options: { events }, durations, spans, writer, committed, flushed }: Session,
  batch: Outcome[],
  asked: number,
  fenced: ReadonlySet<string>,
  died: ReadonlySet<string>,
): void {
  const now = Date.now()
  for (const { entry, kind } of batch) {
    // An entry's id begins with the time at which it was appended, in ms.
    if (kind === 'done' && !fenced.has(entry))
      durations.endToEnd.record(Math.max(0, now - Number.parseInt(entry, 10)) / 1000)
  }
  spans.settled(
    { outcomes: batch, asked, fenced, end: writer && committed, flushed },
    ({ entry, package: number, ...outcome }) => {
      if (outcome.kind !== 'dead' || !died.has(entry)) return
      const { reason, detail } = outcome
      events.next({ type: 'dead', entry, reason, detail, ...(number && { package: number }) })
    },
  )
}

/** How many of the outcomes one commit takes. */
function fitting(outcomes: Outcome[]): number {
  let bytes = 0
  for (let i = 0; i < outcomes.length; i++) {
    const outcome = outcomes[i] as Outcome
    bytes += 1 + Buffer.byteLength(outcome.kind === 'done' ? outcome.line : outcome.detail)
    if (i === MAX_ENTRIES || (bytes > MAX_BYTES && i > 0)) return i
  }
  return outcomes.length
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
