import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { decode, Poison, returnedOf } from './message.ts'
import { Script } from './scripts.ts'

export interface ConsumerState {
  readonly id: string
  /** `live`: a session is open; `ended`: its session has ended and something is left; `none`: no session. */
  readonly session: 'live' | 'ended' | 'none'
  /** host/pid of the process that holds the session. */
  readonly holder?: string
  /** Heartbeat counter. */
  readonly beat: number
  readonly pending: number
  /** Age in ms, since it was appended, of its oldest pending entry, and how many times that was delivered. */
  readonly oldestPending?: number
  readonly deliveries?: number
  /** Packages whose line it has committed. */
  readonly done: number
  /** Entries that it took over from peers, and outcomes of its that were refused. */
  readonly claimed: number
  readonly fenced: number
  /** Bytes of output committed, and of these not yet known to be on disk. */
  readonly output: number
  readonly unflushed: number
}

export interface StreamState {
  /** When this was seen, Unix ms by Redis' clock. */
  readonly at: number
  /** Undefined when the stream has never been opened. */
  readonly epoch?: string
  /** Last package number given out. */
  readonly sequence: number
  /** Entries in the stream. */
  readonly length: number
  /** Id of the oldest entry that is kept. */
  readonly first?: string
  /** Bytes of memory that the stream takes; undefined when there is no stream, or Redis does not say. */
  readonly memory?: number
  /** Recorded groups. */
  readonly groups: string[]
  /** Those of them that are not there. */
  readonly missing: string[]
  /** The oldest entry that a recorded group still needs, and which: trimming stops there. */
  readonly floor?: { readonly entry: string; readonly group: string }
  /** Whether this group is there. */
  readonly group: boolean
  /**
   * Packages not yet delivered to the group, those that came back included: by the numbers of what is next in line, or
   * as Redis counts entries, whichever is more.
   */
  readonly lag: number
  /** Age of the first undelivered entry since it was appended, in ms; undefined when there is none. */
  readonly oldestUndelivered?: number
  /** Delivered and not settled. */
  readonly pending: number
  /** Age of the oldest pending entry since it was appended, in ms. */
  readonly oldestPending?: number
  /** Messages that wait for another attempt. */
  readonly waiting: number
  /** Ms until the first of them is due; negative when it is late. */
  readonly nextDue?: number
  /** Entries in the dead letters, of all groups. */
  readonly deadLetters: number
  /** The group's dead letters by reason. */
  readonly letters: Readonly<Record<string, number>>
  /** Sums over the life of the stream. Each return to the stream counts anew, and so may one package die twice. */
  readonly done: number
  readonly retried: number
  readonly dead: number
  readonly replayed: number
  readonly purged: number
  readonly lost: number
  readonly fenced: number
  readonly claimed: number
  readonly unflushed: number
  readonly consumers: ConsumerState[]
  /** Nothing is undelivered, pending, waiting for another attempt or for the disk. */
  readonly drained: boolean
}

type Flat = (string | number | null)[]
type Entry = [id: string, fields: string[]]
const script = new Script<
  [
    head: string[],
    length: number,
    group: Flat,
    ahead: Entry[],
    oldest: string,
    consumers: Flat[],
    sessions: string[],
    beats: string[],
    files: string[],
    counts: string[],
    dead: number,
    logs: Flat,
    time: number,
    waiting: number,
    due: string,
    first: string,
    memory: number,
    groups: string[],
    held: Flat,
  ]
>('inspect')

/** Looks at a stream and one of its groups; all figures are of one instant. Changes nothing. */
export async function inspect(redis: Redis, keys: Keys): Promise<StreamState> {
  const { stream, head, sessions, beats, files, counts, dead } = keys
  const reply = await script.run(
    redis,
    [stream, head, sessions, beats, files, counts, dead, keys.output(''), keys.retry],
    [keys.group],
  )
  const headFields = pairs(reply[0])
  const group = pairs(reply[2])
  const ahead = reply[3]
  const count = pairs(reply[9])
  const consumers = consumersOf(reply)
  const sequence = Number(headFields.get('sequence') ?? 0)
  const pending = Number(group.get('pending') ?? 0)
  const unflushed = consumers.reduce((sum, consumer) => sum + consumer.unflushed, 0)
  const number = (name: string) => Number(count.get(name) ?? 0)
  const epoch = headFields.get('epoch')
  const groups = [...headFields.keys()]
    .filter(name => name.startsWith('group:'))
    .map(name => name.slice('group:'.length))
  const needs = pairs(reply[17]) as Map<string, string>
  const floor = floorOf(groups, needs)
  return {
    at: reply[12],
    ...(epoch !== undefined && { epoch: String(epoch) }),
    sequence,
    length: reply[1],
    ...(reply[15] && { first: reply[15] }),
    ...(reply[16] >= 0 && { memory: reply[16] }),
    groups,
    missing: groups.filter(name => !needs.has(name)),
    ...(floor && { floor }),
    group: group.size > 0,
    lag: lagOf(ahead, sequence, group.get('lag'), reply[1]),
    ...(ahead[0] && { oldestUndelivered: ageOf(ahead[0][0], reply[12]) }),
    pending,
    ...(reply[4] && { oldestPending: ageOf(reply[4], reply[12]) }),
    waiting: reply[13],
    ...(reply[14] && { nextDue: Number(reply[14]) - reply[12] }),
    deadLetters: reply[10],
    letters: lettersOf(count),
    done: consumers.reduce((sum, consumer) => sum + consumer.done, 0),
    retried: number('retried'),
    dead: number('dead'),
    replayed: number('replayed'),
    purged: number('purged'),
    lost: number('lost'),
    fenced: number('fenced'),
    claimed: number('claimed'),
    unflushed,
    consumers,
    drained: group.size > 0 && ahead.length === 0 && pending === 0 && reply[13] === 0 && unflushed === 0,
  }
}

/** How many undelivered entries the script shows. */
const AHEAD = 5

/**
 * Redis' own `lag` is unknown after XDEL and wrong after a trim; the numbers in the entries are neither, but they do
 * not count what came back behind the first of them. So it is the higher of the two.
 */
function lagOf(ahead: Entry[], sequence: number, own: unknown, length: number): number {
  const known = typeof own === 'number' ? own : undefined
  for (const [index, [id, fields]] of ahead.entries()) {
    try {
      const returned = returnedOf(fields) // it carries an old number, and says which was the last when it came back
      const before = returned ? returned.sequence : decode(id, fields, 0).package - 1
      return Math.max(sequence - before + index + (returned ? 1 : 0), known ?? 0)
    } catch (error) {
      if (!(error instanceof Poison)) throw error
    }
  }
  return ahead.length < AHEAD ? ahead.length : (known ?? length) // nothing but poison is in sight
}

/** Ms since an entry was appended. */
function ageOf(id: string, now: number): number {
  return Math.max(0, now - Number.parseInt(id, 10))
}

/** What the trim script would find: the lowest of the ids that the recorded groups still need. */
function floorOf(groups: string[], needs: Map<string, string>): StreamState['floor'] {
  const needed = groups.flatMap(group =>
    needs.get(group) ? [{ group, entry: needs.get(group) as string }] : [],
  )
  return needed.sort((a, b) => compareIds(a.entry, b.entry))[0]
}

function compareIds(a: string, b: string): number {
  const [[aMs = 0, aSeq = 0], [bMs = 0, bSeq = 0]] = [a, b].map(id => id.split('-').map(Number)) as [
    number[],
    number[],
  ]
  return aMs - bMs || aSeq - bSeq
}

function lettersOf(count: Map<string, unknown>): Record<string, number> {
  const letters = [...count].filter(([name, value]) => name.startsWith('letters:') && Number(value) > 0)
  return Object.fromEntries(letters.map(([name, value]) => [name.slice('letters:'.length), Number(value)]))
}

function consumersOf(reply: Awaited<ReturnType<typeof script.run>>): ConsumerState[] {
  const sessions = pairs(reply[6])
  const beats = pairs(reply[7])
  const files = pairs(reply[8])
  const counts = pairs(reply[9])
  const members = new Map(reply[5].map(row => pairs(row)).map(row => [String(row.get('name')), row]))
  const held = new Map<string, { oldestPending: number; deliveries: number }>()
  for (let i = 0; i < reply[18].length; i += 3) {
    const [name, entry, deliveries] = reply[18].slice(i, i + 3) as [string, string, number]
    held.set(name, { oldestPending: ageOf(entry, reply[12]), deliveries })
  }
  const unflushed = new Map<string, number>()
  for (let i = 0; i < reply[11].length; i += 3) {
    const [name, , first] = reply[11].slice(i, i + 3) as [string, number, string]
    const [end, length] = first.split('-').map(Number)
    const start = first === '' ? undefined : (end as number) - (length as number)
    unflushed.set(name, start === undefined ? 0 : Number(files.get(name)) - start)
  }
  const worked = [...counts.keys()]
    .filter(name => name.startsWith('done:'))
    .map(name => name.slice('done:'.length))
  const ids = new Set([...sessions.keys(), ...members.keys(), ...files.keys(), ...worked])
  return [...ids].sort().map(id => {
    const token = sessions.get(id)
    const live = token !== undefined && token !== '-'
    return {
      id,
      session: live ? 'live' : token === '-' ? 'ended' : 'none',
      ...(live && { holder: String(token).split(' ')[1] ?? '' }),
      beat: Number(beats.get(id) ?? 0),
      pending: Number(members.get(id)?.get('pending') ?? 0),
      ...held.get(id),
      done: Number(counts.get(`done:${id}`) ?? 0),
      claimed: Number(counts.get(`claimed:${id}`) ?? 0),
      fenced: Number(counts.get(`fenced:${id}`) ?? 0),
      output: Number(files.get(id) ?? 0),
      unflushed: unflushed.get(id) ?? 0,
    }
  })
}

function pairs(flat: Flat): Map<string, string | number | null> {
  const map = new Map<string, string | number | null>()
  for (let i = 0; i < flat.length; i += 2) map.set(String(flat[i]), flat[i + 1] ?? null)
  return map
}
