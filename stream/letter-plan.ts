import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import { type DeadLetter, newestDeadLetter, whyNotReplayable } from './dead-letters.ts'
import type { Keys } from './keys.ts'
import { filtered, type LetterFilter } from './letter-filter.ts'

/** Replays after which a letter is left alone, unless told otherwise. */
export const MAX_REPLAYS = 3

export function isQuarantined({ replays }: Pick<DeadLetter, 'replays'>, maxReplays: number): boolean {
  return replays >= maxReplays
}

/** Why a letter that was found is left alone. */
export type Judgement = { readonly quarantined: true } | { readonly impossible: string } | undefined

/** Judges a letter of the group; undefined when it is to be acted on. */
export type Judge = (letter: DeadLetter) => Judgement

/** What is to be acted on. Letters never change, so what was planned is what was confirmed. */
export interface Plan {
  /** Ids, oldest first, or as they were given. */
  readonly ids: readonly string[]
  /** Reasons of the letters that `ids` names. */
  readonly reasons: ReadonlyMap<string, number>
  /** How many `ids` would be without a limit. */
  readonly matched: number
  readonly quarantined: number
  /** Why others are left alone. */
  readonly refused: readonly Unfit[]
}

export interface Unfit {
  /** The letter's id; null where all of one kind are counted. */
  readonly id: string | null
  readonly count: number
  readonly why: string
}

export interface PlanOptions {
  /** Letters to act on at most; default all. */
  readonly max?: number
  /** Id of the last letter to look at; default the newest. */
  readonly through?: string
  readonly stop?: AbortSignal
  /** Called before each letter with how many were read. */
  readonly onRead?: (read: number) => void
}

/** Plans for all letters that there are now and that meet the filter. */
export async function planAll(
  redis: Redis,
  keys: Keys,
  filter: LetterFilter,
  judge: Judge,
  { max = Number.POSITIVE_INFINITY, stop, onRead, through: last }: PlanOptions = {},
): Promise<Plan> {
  const ids: string[] = []
  const reasons = new Map<string, number>()
  const impossible = new Map<string, number>()
  let [matched, quarantined, read] = [0, 0, 0]
  const through = last ?? (await newestDeadLetter(redis, keys))
  for await (const letter of through === undefined ? [] : filtered(redis, keys, filter, { through })) {
    if (stop?.aborted) break
    onRead?.(read++)
    const verdict = judge(letter)
    if (!verdict) {
      matched++
      if (ids.length === max) continue
      ids.push(letter.id)
      reasons.set(letter.reason, (reasons.get(letter.reason) ?? 0) + 1)
    } else if ('quarantined' in verdict) quarantined++
    else impossible.set(verdict.impossible, (impossible.get(verdict.impossible) ?? 0) + 1)
  }
  const refused = [...impossible].map(([why, number]) => ({ id: null, count: number, why }))
  return { ids, reasons, matched, quarantined, refused }
}

/** Judges letters by the run that is now. */
export async function replayJudge(redis: Redis, keys: Keys, maxReplays: number): Promise<Judge> {
  const epoch = (await answer(redis.hget(keys.head, 'epoch'))) ?? undefined
  return (letter: DeadLetter): Judgement => {
    const impossible = whyNotReplayable(letter, epoch)
    if (impossible !== undefined) return { impossible }
    return isQuarantined(letter, maxReplays) ? { quarantined: true } : undefined
  }
}
