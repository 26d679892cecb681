import {
  answer,
  type DeadLetter,
  deadLetter,
  type Entry,
  type Keys,
  type PackageReport,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'

/** The payload in an entry's data, as JSON text for people; undefined when there is none. */
export function indented(data: string): string | undefined {
  try {
    const { payload } = JSON.parse(data)
    return payload === undefined ? undefined : JSON.stringify(payload, null, 2)
  } catch {
    return undefined
  }
}

/** The field `data` of an entry; undefined when there is none. */
export function dataOf(fields: readonly string[]): string | undefined {
  for (let i = 0; i + 1 < fields.length; i += 2) if (fields[i] === 'data') return fields[i + 1]
  return undefined
}

/** The data of a message that waits under this entry. */
export async function waitingData(redis: Redis, keys: Keys, entry: string): Promise<string[] | undefined> {
  const body = await answer(redis.hget(keys.waiting, entry))
  try {
    const [, ...fields] = JSON.parse(body ?? '')
    return fields.map(String)
  } catch {
    return undefined
  }
}

/** The payload of a package, from wherever it still is; undefined when it is nowhere in Redis. */
export async function payloadOf(
  redis: Redis,
  keys: Keys,
  { place, history }: PackageReport,
): Promise<string | undefined> {
  if (place?.at === 'dead') return indented((await deadLetterData(redis, keys, place.letter)) ?? '')
  if (place?.at === 'waiting')
    return indented(dataOf((await waitingData(redis, keys, place.entry)) ?? []) ?? '')
  const last = history.findLast(transition => 'entry' in transition)
  const entry = place?.entry ?? (last && 'entry' in last ? last.entry : undefined)
  if (entry === undefined) return undefined
  const [found] = (await answer(redis.xrange(keys.stream, entry, entry))) as Entry[]
  return found && indented(dataOf(found[1]) ?? '')
}

async function deadLetterData(redis: Redis, keys: Keys, id: string): Promise<string | undefined> {
  const letter: DeadLetter | undefined = await deadLetter(redis, keys, id)
  return letter?.fields.data
}
