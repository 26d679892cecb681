import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import { deadLetters } from './dead-letters.ts'
import type { Keys } from './keys.ts'
import { decode, Poison, returnedOf } from './message.ts'
import { entriesOf } from './pages.ts'

/** Where a package is that is not yet, or never will be, in an output. */
export type Place =
  /** In the stream, delivered to nobody of the group. */
  | { readonly at: 'undelivered'; readonly entry: string }
  /** Delivered and not settled. */
  | { readonly at: 'pending'; readonly entry: string; readonly consumer: string; readonly deliveries: number }
  /** Waits for another attempt. `due`: Unix ms by Redis' clock; `dueIn`: ms from now, negative when late. */
  | { readonly at: 'waiting'; readonly entry: string; readonly due: number; readonly dueIn: number }
  | { readonly at: 'dead'; readonly letter: string }

/** What has become of a package. `not given out`: its number is higher than the last. */
export type Whereabouts =
  | { readonly state: 'committed' | 'purged' | 'not given out' }
  | { readonly state: Place['at']; readonly place: Place }

/**
 * What has become of a package of the present run, as Redis knows it: what was given out and is in no place, nor was
 * purged, was committed. Rejects with `RedisError` or `ConnectionLost`.
 */
export async function whereaboutsOf(redis: Redis, keys: Keys, number: number): Promise<Whereabouts> {
  const sequence = await answer(redis.hget(keys.head, 'sequence'))
  if (number > Number(sequence)) return { state: 'not given out' }
  // A second look finds what moved from one place to another during the first.
  const place = (await locate(redis, keys, number)) ?? (await locate(redis, keys, number))
  if (place) return { state: place.at, place }
  const purged = await answer(redis.sismember(keys.purged, String(number)))
  return { state: purged ? 'purged' : 'committed' }
}

/** Waiting messages looked through at once. */
const PAGE = 100

/**
 * Looks for a package in all places where it can be before its line is committed. Undefined when it is in none: it
 * was committed or purged, or never given out. It looks through everything, so it is for people and not for services;
 * what moves while it looks may be missed.
 */
export async function locate(redis: Redis, keys: Keys, number: number): Promise<Place | undefined> {
  return (
    (await findWaiting(redis, keys, number)) ??
    (await findInStream(redis, keys, number)) ??
    (await findDead(redis, keys, number))
  )
}

async function findWaiting(redis: Redis, keys: Keys, number: number): Promise<Place | undefined> {
  const begins = `["${number}",`
  for (let cursor = '0'; ; ) {
    const [next, found] = await answer(redis.hscan(keys.waiting, cursor, 'COUNT', PAGE))
    for (let i = 0; i < found.length; i += 2) {
      if (!found[i + 1]?.startsWith(begins)) continue
      const entry = found[i] as string
      const [due, [seconds, micros]] = await answer(
        Promise.all([redis.zscore(keys.retry, entry), redis.time() as Promise<[number, number]>]),
      )
      if (due === null) continue // it has just come back
      const now = Number(seconds) * 1000 + Number(micros) / 1000
      return { at: 'waiting', entry, due: Number(due), dueIn: Math.round(Number(due) - now) }
    }
    if (next === '0') return undefined
    cursor = next
  }
}

async function findInStream(redis: Redis, keys: Keys, number: number): Promise<Place | undefined> {
  const groups = (await answer(redis.xinfo('GROUPS', keys.stream)).catch(() => [])) as string[][]
  const group = groups.find(row => row[1] === keys.group)
  if (!group) return undefined
  const last = group[group.indexOf('last-delivered-id') + 1] as string
  const undelivered = await scan(redis, keys, `(${last}`, number)
  if (undelivered) return { at: 'undelivered', entry: undelivered }
  const [, oldest, newest] = (await answer(redis.xpending(keys.stream, keys.group))) as [
    number,
    string,
    string,
  ]
  if (!oldest) return undefined
  for (let from = oldest; ; ) {
    const entry = await scan(redis, keys, from, number, newest)
    if (!entry) return undefined
    const [row] = (await answer(redis.xpending(keys.stream, keys.group, entry, entry, 1))) as [
      string,
      string,
      number,
      number,
    ][]
    if (row) return { at: 'pending', entry, consumer: row[1], deliveries: row[3] }
    from = `(${entry}` // settled: an earlier attempt of it
  }
}

/** The first entry from `from` on that carries the package. */
async function scan(
  redis: Redis,
  keys: Keys,
  from: string,
  number: number,
  to = '+',
): Promise<string | undefined> {
  for await (const [id, fields] of entriesOf(redis, keys.stream, from, to))
    if (carries(keys, id, fields, number)) return id
  return undefined
}

function carries({ group }: Keys, id: string, fields: string[], number: number): boolean {
  const returned = returnedOf(fields)
  if (returned && returned.group !== group) return false // it came back for others
  try {
    return decode(id, fields, 0, returned ?? null).package === number
  } catch (error) {
    if (error instanceof Poison) return false
    throw error
  }
}

async function findDead(redis: Redis, keys: Keys, number: number): Promise<Place | undefined> {
  for await (const letter of deadLetters(redis, keys))
    if (letter.package === number && letter.group === keys.group) return { at: 'dead', letter: letter.id }
  return undefined
}
