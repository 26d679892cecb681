import {
  answer,
  compareIds,
  type DeadLetter,
  deadLetter,
  filtered,
  isQuarantined,
  type Keys,
  type LetterFilter,
  letterDocument,
  MAX_REPLAYS,
  newestDeadLetter,
  whyNotReplayable,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'
import type { Letter, LetterPage, LetterRow } from './contract.ts'
import { indented } from './payload.ts'

/** Letters looked at for one page, and ms that it may take. */
const MOST = 100_000
const PATIENCE = 3000
/** Characters of a text in a row, and of a payload. */
const SHORT = 500
const LONG = 65_536

/** A page of letters, newest first, and how many there are that match. */
export async function letterPage(
  redis: Redis,
  keys: Keys,
  filter: LetterFilter,
  { limit, before }: { limit: number; before?: string | undefined },
): Promise<LetterPage> {
  const epoch = await epochOf(redis, keys)
  const through = await newestDeadLetter(redis, keys)
  const end = performance.now() + PATIENCE
  const letters: LetterRow[] = []
  const reasons = new Map<string, number>()
  const counts = { matched: 0, quarantined: 0, unreplayable: 0, replayable: 0, replayableAnyway: 0 }
  let complete = true
  let more = false
  const range = { newestFirst: true, ...(through !== undefined && { through }) }
  for await (const letter of through === undefined ? [] : filtered(redis, keys, filter, range)) {
    if (counts.matched >= MOST || performance.now() > end) {
      complete = false
      break
    }
    const row = rowOf(letter, epoch)
    counts.matched++
    if (row.quarantined) counts.quarantined++
    if (row.unreplayable !== null) counts.unreplayable++
    else {
      counts.replayableAnyway++
      if (!row.quarantined) counts.replayable++
    }
    reasons.set(letter.reason, (reasons.get(letter.reason) ?? 0) + 1)
    if (before !== undefined && compareIds(letter.id, before) >= 0) continue
    if (letters.length < limit) letters.push(row)
    else more = true
  }
  return {
    letters,
    ...counts,
    reasons: Object.fromEntries(reasons),
    complete,
    next: more ? (letters.at(-1)?.id ?? null) : null,
    through: through ?? null,
  }
}

/** One letter, of any group; undefined when there is none of that id. */
export async function letterOf(
  redis: Redis,
  keys: Keys,
  id: string,
  jaegerUrl: string,
): Promise<Letter | undefined> {
  const letter = await deadLetter(redis, keys, id)
  if (!letter) return undefined
  const { stack = null, group, message, entry, deliveries, failures, fields, traceId } = letter
  const data = fields.data ?? ''
  return {
    ...rowOf(letter, await epochOf(redis, keys), LONG),
    stack: stack?.slice(0, LONG) ?? null,
    group,
    message,
    entry,
    deliveries,
    failures: failures.map(({ at, consumer, reason, detail }) => ({ at, consumer, reason, detail })),
    payload: indented(data)?.slice(0, LONG) ?? null,
    data: data.slice(0, LONG),
    trace: traceId ? `${jaegerUrl}/trace/${encodeURIComponent(traceId)}` : null,
  }
}

/** All that match, a line of JSON each, oldest first, as `conveyor dlq export` prints them. */
export async function* exported(redis: Redis, keys: Keys, filter: LetterFilter): AsyncGenerator<string> {
  const through = await newestDeadLetter(redis, keys)
  if (through === undefined) return
  for await (const letter of filtered(redis, keys, filter, { through }))
    yield `${JSON.stringify(letterDocument(letter, MAX_REPLAYS))}\n`
}

export async function epochOf(redis: Redis, keys: Keys): Promise<string | undefined> {
  return (await answer(redis.hget(keys.head, 'epoch'))) ?? undefined
}

function rowOf(letter: DeadLetter, epoch: string | undefined, most = SHORT): LetterRow {
  const { id, at, reason, detail, attempts, replays } = letter
  return {
    id,
    at,
    reason: reason.slice(0, most),
    detail: detail.slice(0, most),
    package: letter.package ?? null,
    consumer: letter.consumer ?? null,
    attempts,
    replays,
    quarantined: isQuarantined(letter, MAX_REPLAYS),
    unreplayable: whyNotReplayable(letter, epoch) ?? null,
    run: letter.epoch,
  }
}
