import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import { type DeadLetter, deadLetters, type LetterRange } from './dead-letters.ts'
import type { Keys } from './keys.ts'

/** Which letters are meant; those that meet all of what is given. */
export interface LetterFilter {
  /** Any of these reasons. */
  readonly reason?: readonly string[]
  /** Part of the detail, in upper or lower case. */
  readonly error?: string
  /** Ms since its death, by Redis' clock. */
  readonly minAge?: number
  readonly maxAge?: number
  /** First and last package number. */
  readonly packages?: readonly [first: number, last: number]
  /** Replayed so often, at least. */
  readonly minReplays?: number
}

const MOST = 2n ** 64n - 1n

/** The letters of the group that meet the filter, oldest first unless the range says otherwise. */
export async function* filtered(
  redis: Redis,
  keys: Keys,
  filter: LetterFilter,
  range: LetterRange = {},
): AsyncGenerator<DeadLetter> {
  const now = await redisNow(redis)
  for await (const letter of deadLetters(redis, keys, narrowed(range, filter, now)))
    if (letter.group === keys.group && meets(letter, filter, now)) yield letter
}

/** Unix ms by Redis' clock, which also tells when a message died. */
export async function redisNow(redis: Redis): Promise<number> {
  const [seconds, micros] = (await answer(redis.time())) as [number, number]
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
}

export function meets(letter: DeadLetter, filter: LetterFilter, now: number): boolean {
  const { reason, error, minAge = 0, maxAge = Number.POSITIVE_INFINITY, packages, minReplays = 0 } = filter
  const age = now - letter.at
  if (age > maxAge || (minAge > 0 && age < minAge)) return false
  if (reason && !reason.some(one => one.toLowerCase() === letter.reason.toLowerCase())) return false
  if (error !== undefined && !letter.detail.toLowerCase().includes(error.toLowerCase())) return false
  if (letter.replays < minReplays) return false
  const { package: number } = letter
  return !packages || (number !== undefined && number >= packages[0] && number <= packages[1])
}

/** Ids begin with the time of death, so that letters of another age need not be read. */
function narrowed(range: LetterRange, { minAge = 0, maxAge }: LetterFilter, now: number): LetterRange {
  let { after, through } = range
  if (maxAge !== undefined && maxAge < now) after = later(after, `${now - maxAge - 1}-${MOST}`)
  if (minAge > 0) through = earlier(through, `${Math.max(0, now - minAge)}-${MOST}`)
  const { before, newestFirst = false } = range
  return {
    newestFirst,
    ...(after !== undefined && { after }),
    ...(before !== undefined && { before }),
    ...(through !== undefined && { through }),
  }
}

function later(a: string | undefined, b: string): string {
  return a !== undefined && compareIds(a, b) > 0 ? a : b
}

function earlier(a: string | undefined, b: string): string {
  return a !== undefined && compareIds(a, b) < 0 ? a : b
}

/** Order of ids, `<ms>-<seq>`. */
export function compareIds(a: string, b: string): number {
  const [ms, seq] = a.split('-').map(BigInt) as [bigint, bigint]
  const [otherMs, otherSeq] = b.split('-').map(BigInt) as [bigint, bigint]
  const difference = ms - otherMs || seq - otherSeq
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}
