import type { Context } from '@opentelemetry/api'
import { defer, merge, type Observable } from 'rxjs'
import { answer, DEADLINE, within } from './connection.ts'
import { emit } from './emit.ts'
import { tellMissing } from './events.ts'
import { decode, type Message, type Past, Poison, returnedOf } from './message.ts'
import type { Entry } from './replies.ts'
import { Script } from './scripts.ts'
import type { Session } from './session.ts'
import { originOf } from './tracing.ts'

/** An entry in hand: what it says, or why no handler can be given it. */
export interface Delivery {
  readonly entry: string
  readonly message: Message | Poison
  /** What happened to it before, when it came back. */
  readonly past?: Past
  /** It came back for another group. */
  readonly skip?: boolean
  /** Unix ms at which it was received. */
  readonly received: number
  /** The trace context that its producer sent along. */
  readonly origin?: Context
}

type Pending = [id: string, consumer: string, idle: number, deliveries: number]

const handover = new Script<
  [looked: number, entries: [id: string, deliveries: number, fields: string[]][], missing: string[]]
>('handover')

/** Entries of the pending list looked at in one step. */
const PAGE = 500

/**
 * Emits batches of entries: new ones, and those that are pending for this consumer and not in its hands
 * (after a restart, a claim, or a lost reply). Pulled: the next read starts only when there is room.
 * Completes when the session is stopping; errors with `RedisError` or `ConnectionLost`.
 */
export function read(session: Session): Observable<Delivery[]> {
  return defer(() => {
    const turn = new Turn()
    return merge(
      emit(() => readNew(session, turn)),
      emit(() => readPending(session, turn)),
    )
  })
}

/**
 * Who may look for entries. While the reply to a read is on its way, what it brings is pending and not in
 * hand, as if it were lost; so the pending list is looked at only between reads.
 */
class Turn {
  private last: Promise<unknown> = Promise.resolve()
  /** Pending entries wait for room: new ones, which never end, must not take it. */
  recovering = false
  /** Pending entries are handed over one at a time, which may take long: new ones need not wait for that. */
  oneByOne = false

  take<T>(look: () => Promise<T>): Promise<T> {
    const result = this.last.then(look)
    this.last = result.catch(() => {})
    return result
  }
}

async function* readNew(session: Session, turn: Turn): AsyncGenerator<Delivery[]> {
  const { keys, consumer, settings, events } = session.options
  const { held, reader, replies } = session
  const patience = settings.block + (settings.deadline || DEADLINE)
  while (!session.stopping) {
    const mayRead = () => held.room > 0 && !turn.recovering && (turn.oneByOne || !session.recoverWanted)
    await held.until(() => mayRead() || session.stopping)
    if (session.stopping) return
    const batch = await turn.take(async () => {
      const asked = performance.now()
      const count = held.ask(settings.batch)
      const reply = (await within(
        patience,
        answer(
          reader.xreadgroup(
            'GROUP',
            keys.group,
            consumer,
            'COUNT',
            count,
            'BLOCK',
            settings.block,
            'STREAMS',
            keys.stream,
            '>',
          ),
        ),
        'no answer to XREADGROUP',
      )) as [stream: string, entries: Entry[]][] | null
      const received = Date.now()
      let bytes = 0
      const found: Delivery[] = []
      const entries = replies.take() ?? reply?.[0]?.[1] ?? []
      if (entries.length > 0) held.idle.stop()
      for (const [id, fields] of entries) {
        const size = sizeOf(fields)
        bytes += size
        found.push(deliver(session, id, fields, 1, size, received))
      }
      if (found.length > 0) events.next({ type: 'delivered', count: found.length, bytes, again: false })
      session.spans.polled(found, asked)
      return found
    })
    if (batch.length > 0) yield batch
  }
}

/**
 * Entries that were delivered once before are handed over together; those delivered more often one by
 * one, each after the last was settled, so that one that kills the process takes no neighbour along.
 */
async function* readPending(session: Session, turn: Turn): AsyncGenerator<Delivery[]> {
  const { held, options } = session
  const room = () => held.until(() => held.room > 0 || session.stopping)
  while (!session.stopping) {
    await held.until(() => session.recoverWanted || session.stopping)
    if (session.stopping) return
    session.recoverWanted = false
    turn.recovering = true
    const rows = await turn.take(() => strays(session))
    let once = rows.filter(([, , , deliveries]) => deliveries === 1)
    while (once.length > 0) {
      await room()
      if (session.stopping) return
      const [looked, batch] = await handOver(session, once.slice(0, Math.min(held.room, PAGE)))
      once = once.slice(looked)
      if (batch.length > 0) yield batch
    }
    turn.recovering = false
    turn.oneByOne = true
    held.changed()
    for (const row of rows.filter(([, , , deliveries]) => deliveries > 1)) {
      await room()
      if (session.stopping) return
      const exhausted = row[3] >= options.settings.maxDeliveries
      const batch = exhausted ? await giveUp(session, row) : (await handOver(session, [row]))[1]
      if (batch.length === 0) continue
      yield batch
      await held.until(() => !held.has(row[0]) || session.stopping)
    }
    turn.oneByOne = false
  }
}

/** What is pending for this consumer and not in its hands. */
async function strays({ options: { keys, consumer }, redis, held }: Session): Promise<Pending[]> {
  const found: Pending[] = []
  for (let from = '-'; ; ) {
    const rows = (await answer(
      redis.xpending(keys.stream, keys.group, from, '+', PAGE, consumer),
    )) as Pending[]
    found.push(...rows.filter(([id]) => !held.has(id)))
    const last = rows.at(-1)
    if (!last || rows.length < PAGE) return found
    from = `(${last[0]}`
  }
}

async function handOver(session: Session, rows: Pending[]): Promise<[looked: number, batch: Delivery[]]> {
  const { keys, consumer, events } = session.options
  const asked = performance.now()
  const [looked, entries, missing] = await handover.run(
    session.redis,
    [keys.stream, keys.sessions, keys.dead, keys.counts],
    [keys.group, consumer, session.token, session.held.roomBytes, ...rows.map(([id]) => id)],
  )
  const received = Date.now()
  let bytes = 0
  const batch: Delivery[] = []
  if (entries.length > 0) session.held.idle.stop()
  for (const [id, deliveries, fields] of entries) {
    const size = sizeOf(fields)
    bytes += size
    batch.push(deliver(session, id, fields, deliveries, size, received))
  }
  session.vitals.redelivered += batch.length
  if (batch.length > 0) events.next({ type: 'delivered', count: batch.length, bytes, again: true })
  tellMissing(events, missing)
  session.spans.polled(batch, asked)
  return [looked, batch]
}

/** An entry with which process after process has died: what it says is kept, but no handler is given it. */
async function giveUp(session: Session, [entry, , , deliveries]: Pending): Promise<Delivery[]> {
  const { keys } = session.options
  const [row] = (await answer(session.redis.xrange(keys.stream, entry, entry))) as Entry[]
  session.held.idle.stop()
  const delivery = deliver(session, entry, row?.[1] ?? [], deliveries, 0, Date.now())
  const { message } = delivery
  const number = message instanceof Poison ? undefined : message.package
  const detail = `delivered ${deliveries} times without an outcome`
  return [{ ...delivery, message: new Poison('too many deliveries', detail, number) }]
}

function deliver(
  session: Session,
  entry: string,
  fields: string[],
  deliveries: number,
  size: number,
  received: number,
): Delivery {
  session.held.add(entry, size)
  const past = returnedOf(fields)
  const message = decoded(entry, fields, deliveries, past)
  const origin = originIn(message, fields)
  if (!past && !origin) return { entry, message, received }
  return {
    entry,
    message,
    received,
    ...(past && { past, skip: past.group !== session.options.keys.group }),
    ...(origin && { origin }),
  }
}

function decoded(entry: string, fields: string[], deliveries: number, past?: Past): Message | Poison {
  try {
    return decode(entry, fields, deliveries, past ?? null)
  } catch (error) {
    if (error instanceof Poison) return error
    throw error
  }
}

function originIn(message: Message | Poison, fields: string[]): Context | undefined {
  if (!(message instanceof Poison)) return message.traceparent === undefined ? undefined : originOf(message)
  const at = fields.indexOf('traceparent')
  const traceparent = at % 2 === 0 ? fields[at + 1] : undefined
  return traceparent === undefined ? undefined : originOf({ traceparent })
}

function sizeOf(fields: string[]): number {
  let size = 0
  for (const field of fields) size += field.length
  return size
}
