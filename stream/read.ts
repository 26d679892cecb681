import { defer, from, merge, type Observable } from 'rxjs'
import { answer, DEADLINE, within } from './connection.ts'
import { decode, type Message, Poison } from './message.ts'
import { Script } from './scripts.ts'
import type { Session } from './session.ts'

/** An entry in hand: what it says, or why no handler can be given it. */
export interface Delivery {
  readonly entry: string
  readonly message: Message | Poison
}

type Entry = [id: string, fields: string[]]
type Pending = [id: string, consumer: string, idle: number, deliveries: number]

const handover = new Script<[id: string, deliveries: number, fields: string[]][]>('handover')

/** Entries of the pending list looked at in one step. */
const PAGE = 500

/**
 * Emits batches of entries: new ones, and those that are pending for this consumer and not in its hands
 * (after a restart, a claim, or a lost reply). Pulled: the next read starts only when there is room.
 * Completes when the session is stopping; errors with `RedisError` or `ConnectionLost`.
 */
export function read(session: Session): Observable<Delivery[]> {
  return merge(
    defer(() => from(readNew(session))),
    defer(() => from(readPending(session))),
  )
}

async function* readNew(session: Session): AsyncGenerator<Delivery[]> {
  const { keys, consumer, settings } = session.options
  const { held, reader } = session
  const patience = settings.block + (settings.deadline || DEADLINE)
  while (!session.stopping) {
    await held.until(() => held.room > 0 || session.stopping)
    if (session.stopping) return
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
    const entries = reply?.[0]?.[1]
    if (!entries) continue
    let bytes = 0
    const batch: Delivery[] = []
    for (const [id, fields] of entries) {
      if (held.has(id)) continue
      const size = sizeOf(fields)
      bytes += size
      batch.push(deliver(session, id, fields, 1, size))
    }
    session.options.events.next({ type: 'delivered', count: batch.length, bytes, again: false })
    yield batch
  }
}

/**
 * Entries that were delivered once before are handed over together; those delivered more often one by
 * one, each after the last was settled, so that one that kills the process takes no neighbour along.
 */
async function* readPending(session: Session): AsyncGenerator<Delivery[]> {
  const { keys, consumer, settings } = session.options
  const { held, redis } = session
  while (!session.stopping) {
    await held.until(() => session.recoverWanted || session.stopping)
    session.recoverWanted = false
    let from = '-'
    while (!session.stopping) {
      const rows = (await answer(
        redis.xpending(keys.stream, keys.group, from, '+', PAGE, consumer),
      )) as Pending[]
      const last = rows.at(-1)
      if (!last) break
      from = `(${last[0]}`
      const rest = rows.filter(([id]) => !held.has(id))
      while (rest.length > 0) {
        await held.until(() => held.room > 0 || session.stopping)
        if (session.stopping) return
        const suspect = (rest[0]?.[3] ?? 0) > 1
        const alike = suspect ? 1 : rest.findIndex(([, , , deliveries]) => deliveries > 1)
        const part = rest.splice(0, Math.min(held.ask(PAGE), alike < 0 ? rest.length : alike))
        const exhausted = (part[0]?.[3] ?? 0) >= settings.maxDeliveries
        const batch = exhausted ? giveUp(session, part) : await handOver(session, part)
        if (batch.length === 0) continue
        yield batch
        if (suspect) await held.until(() => !held.has(batch[0]?.entry ?? '') || session.stopping)
      }
    }
  }
}

async function handOver(session: Session, rows: Pending[]): Promise<Delivery[]> {
  const { keys, consumer, events } = session.options
  const reply = await handover.run(
    session.redis,
    [keys.stream, keys.sessions, keys.dead, keys.counts],
    [keys.group, consumer, session.token, ...rows.map(([id]) => id)],
  )
  let bytes = 0
  const batch: Delivery[] = []
  for (const [id, deliveries, fields] of reply) {
    if (session.held.has(id)) continue // read as new meanwhile
    const size = sizeOf(fields)
    bytes += size
    batch.push(deliver(session, id, fields, deliveries, size))
  }
  if (batch.length > 0) events.next({ type: 'delivered', count: batch.length, bytes, again: true })
  return batch
}

function giveUp(session: Session, rows: Pending[]): Delivery[] {
  return rows.map(([entry, , , deliveries]) => {
    session.held.add(entry, 0)
    return {
      entry,
      message: new Poison('too many deliveries', `delivered ${deliveries} times without an outcome`),
    }
  })
}

function deliver(
  session: Session,
  entry: string,
  fields: string[],
  deliveries: number,
  size: number,
): Delivery {
  session.held.add(entry, size)
  try {
    return { entry, message: decode(entry, fields, deliveries) }
  } catch (error) {
    if (!(error instanceof Poison)) throw error
    return { entry, message: error }
  }
}

function sizeOf(fields: string[]): number {
  let size = 0
  for (const field of fields) size += field.length
  return size
}
