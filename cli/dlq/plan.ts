import { type DeadLetter, deadLetter, type Keys, newestDeadLetter } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import type { Progress } from '../print.ts'
import { filtered, type LetterFilter } from './filter.ts'
import { unknown } from './show.ts'
import { count, letters, oneLine } from './text.ts'

/** Why a letter that was found is left alone. */
export type Verdict = { readonly quarantined: true } | { readonly impossible: string } | undefined

/** Judges a letter of the group; undefined when it is to be acted on. */
export type Judge = (letter: DeadLetter) => Verdict

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
  readonly refused: readonly Refused[]
}

export interface Refused {
  /** The letter's id; null where all of one kind are counted. */
  readonly id: string | null
  readonly count: number
  readonly why: string
}

/** Plans for all letters that there are now and that meet the filter. */
export async function planAll(
  redis: Redis,
  keys: Keys,
  filter: LetterFilter,
  judge: Judge,
  { max, stop, progress }: { max: number; stop: AbortSignal; progress: Progress },
): Promise<Plan> {
  const ids: string[] = []
  const reasons = new Map<string, number>()
  const impossible = new Map<string, number>()
  let [matched, quarantined, read] = [0, 0, 0]
  const through = await newestDeadLetter(redis, keys)
  for await (const letter of through === undefined ? [] : filtered(redis, keys, filter, { through })) {
    if (stop.aborted) break
    progress.update(() => `reading: ${letters(read)} so far`)
    read++
    const verdict = judge(letter)
    if (!verdict) {
      matched++
      if (ids.length === max) continue
      ids.push(letter.id)
      count(reasons, letter.reason)
    } else if ('quarantined' in verdict) quarantined++
    else count(impossible, verdict.impossible)
  }
  progress.clear()
  const refused = [...impossible].map(([why, number]) => ({ id: null, count: number, why }))
  return { ids, reasons, matched, quarantined, refused }
}

/** Plans for letters by their ids. */
export async function planSome(
  redis: Redis,
  keys: Keys,
  wanted: readonly string[],
  judge: Judge,
  max: number,
): Promise<Plan> {
  const ids: string[] = []
  const reasons = new Map<string, number>()
  const refused: Refused[] = []
  let matched = 0
  for (const id of new Set(wanted)) {
    const letter = await deadLetter(redis, keys, id)
    const why = letter ? obstacle(letter, keys, judge(letter)) : unknown(id)
    if (why !== undefined) refused.push({ id, count: 1, why })
    else if (++matched <= max) {
      ids.push(id)
      count(reasons, letter?.reason ?? '')
    }
  }
  return { ids, reasons, matched, quarantined: 0, refused }
}

/** Why a letter that was asked for is not acted on, as one line. */
export function obstacle(letter: DeadLetter, keys: Keys, verdict: Verdict): string | undefined {
  const { id, group, replays } = letter
  if (group !== keys.group) return `dead letter ${id} is of another group: --group ${oneLine(group)}`
  if (!verdict) return undefined
  if ('impossible' in verdict) return `dead letter ${id}: ${oneLine(verdict.impossible)}`
  return `dead letter ${id} is in quarantine, replayed ${replays} times already: --max-replays ${replays + 1} replays it anyway`
}
