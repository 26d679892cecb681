import {
  type DeadLetter,
  deadLetter,
  type Judge,
  type Judgement,
  type Keys,
  type Plan,
  type Unfit,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { unknown } from './show.ts'
import { count, oneLine } from './text.ts'

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
  const refused: Unfit[] = []
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
export function obstacle(letter: DeadLetter, keys: Keys, verdict: Judgement): string | undefined {
  const { id, group, replays } = letter
  if (group !== keys.group) return `dead letter ${id} is of another group: --group ${oneLine(group)}`
  if (!verdict) return undefined
  if ('impossible' in verdict) return `dead letter ${id}: ${oneLine(verdict.impossible)}`
  return `dead letter ${id} is in quarantine, replayed ${replays} times already: --max-replays ${replays + 1} replays it anyway`
}
