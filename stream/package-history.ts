import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import type { Transition } from './history.ts'
import type { Keys } from './keys.ts'
import { type Entry, entriesOf } from './pages.ts'

/** A transition as the scripts note it: `received` is when the entry had been received. */
type Note = Transition & { received?: number }

/** Commits that say which packages were committed at a time; one alone may be of late ones only. */
const PROBE = 20
/** Ms by which a package may be committed before others that were given out earlier, and then some. */
const DISORDER = 10_000

/**
 * The story of a package, oldest first, as far as it is kept: with `history: 'failures'` of packages with which
 * something went wrong, with `'all'` of every one. Empty when nothing is kept about it.
 */
export async function packageHistory(redis: Redis, keys: Keys, number: number): Promise<Transition[]> {
  const lines = await answer(redis.lrange(keys.historyOf(number), 0, -1))
  const notes = lines.map(line => JSON.parse(line) as Note)
  if (!notes.some(({ event }) => event === 'committed')) {
    const found = await findCommit(redis, keys, run => run.entryOf(number), number)
    if (found) notes.push(noteOfCommit(found))
  }
  return withAppended(notes.flatMap(expand))
}

/**
 * The package that an entry carries: by the stream, if the entry is still there, or else by the commits that are
 * kept with `history: 'all'`. Undefined when neither knows it.
 */
export async function packageOfEntry(redis: Redis, keys: Keys, entry: string): Promise<number | undefined> {
  const [inStream] = (await answer(redis.xrange(keys.stream, entry, entry))) as Entry[]
  const data = inStream?.[1][inStream[1].indexOf('data') + 1] ?? ''
  const number = Number(/"package"\s*:\s*(\d+)/.exec(data)?.[1])
  if (number > 0) return number
  const from = String(Math.max(0, Number.parseInt(entry, 10) - DISORDER))
  const found = await scan(redis, keys, run => (run.carries(entry) ? entry : undefined), from, '+')
  return found?.run.packageOf(entry)
}

/** Entries that follow each other, in one commit. */
class Run {
  constructor(
    private readonly ms: string,
    private readonly sequence: number,
    readonly first: number,
    readonly size: number,
    readonly received: number,
  ) {}

  /** Reads what `runsOf` writes. */
  static readAll(text: string): Run[] {
    return text.split(' ').map(run => {
      const [entry = '', first, size, received] = run.split(':')
      const [ms = '', sequence] = entry.split('-')
      return new Run(ms, Number(sequence), Number(first), Number(size), Number(received))
    })
  }

  carries(entry: string): boolean {
    const at = Number(entry.split('-')[1]) - this.sequence
    return entry.startsWith(`${this.ms}-`) && at >= 0 && at < this.size
  }

  packageOf(entry: string): number {
    return this.first + Number(entry.split('-')[1]) - this.sequence
  }

  /** The entry that carried a package; undefined when that is not in this run. */
  entryOf(number: number): string | undefined {
    const at = number - this.first
    return at >= 0 && at < this.size ? `${this.ms}-${this.sequence + at}` : undefined
  }
}

/** A commit, and the entry in it that was looked for. */
interface Found {
  readonly at: number
  readonly fields: Map<string, string>
  readonly runs: Run[]
  readonly run: Run
  readonly entry: string
}

/** The entry that is looked for, if it is in the run. */
type Wanted = (run: Run) => string | undefined

/**
 * Looks for the commit of a package. Commits are kept in the order of time, and packages are committed roughly in the
 * order of their numbers: so where to begin is found by halving, and the rest is looked through only if need be.
 */
async function findCommit(
  redis: Redis,
  keys: Keys,
  wanted: Wanted,
  number: number,
): Promise<Found | undefined> {
  const edge = async (entries: Promise<unknown>) =>
    Number.parseInt((((await answer(entries)) as Entry[])[0] ?? ['0'])[0], 10)
  let low = await edge(redis.xrange(keys.history, '-', '+', 'COUNT', 1))
  let high = await edge(redis.xrevrange(keys.history, '+', '-', 'COUNT', 1))
  while (high - low > 1000) {
    const middle = Math.floor((low + high) / 2)
    const page = (await answer(redis.xrange(keys.history, middle, '+', 'COUNT', PROBE))) as Entry[]
    const highest = page.flatMap(([, fields]) => Run.readAll(pairs(fields).get('done') ?? ''))
    if (Math.max(0, ...highest.map(({ first }) => first)) < number) low = middle
    else high = middle
  }
  const from = Math.max(0, low - DISORDER)
  return (
    (await scan(redis, keys, wanted, String(from), '+')) ??
    (await scan(redis, keys, wanted, '-', String(from)))
  )
}

async function scan(
  redis: Redis,
  keys: Keys,
  wanted: Wanted,
  from: string,
  to: string,
): Promise<Found | undefined> {
  for await (const [id, strings] of entriesOf(redis, keys.history, from, to)) {
    const fields = pairs(strings)
    const runs = Run.readAll(fields.get('done') ?? '')
    for (const run of runs) {
      const entry = wanted(run)
      if (entry !== undefined && !refusedIn(fields).includes(entry))
        return { at: Number.parseInt(id, 10), fields, runs, run, entry }
    }
  }
  return undefined
}

/** Which line of its commit an entry has: those that were refused have none. */
function noteOfCommit({ at, fields, runs, run, entry }: Found): Note {
  const start = fields.get('start')
  const before = runs.slice(0, runs.indexOf(run)).reduce((sum, { size }) => sum + size, 0)
  const gaps = refusedIn(fields).filter(id => runs.some(one => one.carries(id)) && isBefore(id, entry)).length
  return {
    event: 'committed',
    at,
    consumer: fields.get('consumer') ?? '',
    entry,
    received: run.received,
    ...(start !== '' && {
      offset: Number(start),
      line: before + run.packageOf(entry) - run.first - gaps,
    }),
  }
}

function refusedIn(fields: Map<string, string>): string[] {
  return (fields.get('fenced') ?? '').split(' ')
}

function isBefore(a: string, b: string): boolean {
  const [[aMs, aSequence], [bMs, bSequence]] = [a, b].map(id => id.split('-').map(Number)) as [
    number[],
    number[],
  ]
  return aMs === bMs ? (aSequence as number) < (bSequence as number) : (aMs as number) < (bMs as number)
}

/** When an entry was received is noted with what became of it. */
function expand({ received, ...transition }: Note): Transition[] {
  if (received === undefined || !('consumer' in transition) || transition.event === 'claimed')
    return [transition]
  const { consumer, entry } = transition
  const attempt = ('attempt' in transition ? transition.attempt : undefined) ?? 1
  return [{ event: 'delivered', at: received, consumer, entry, attempt }, transition]
}

/** An entry's id tells when it was appended. */
function withAppended(transitions: Transition[]): Transition[] {
  const [first] = transitions
  if (!first || !('entry' in first)) return transitions
  return [{ event: 'appended', at: Number.parseInt(first.entry, 10), entry: first.entry }, ...transitions]
}

function pairs(strings: string[]): Map<string, string> {
  const map = new Map<string, string>()
  for (let i = 0; i + 1 < strings.length; i += 2) map.set(strings[i] as string, strings[i + 1] as string)
  return map
}
