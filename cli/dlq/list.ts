import {
  type DeadLetter,
  filtered,
  isQuarantined,
  type Keys,
  type LetterFilter,
  letterDocument,
  newestDeadLetter,
  redisNow,
} from '@conveyor/stream'
import { asciiJson } from '@conveyor/validator'
import Table from 'cli-table3'
import type { Redis } from 'ioredis'
import pc from 'picocolors'
import { note, Progress, print, say } from '../print.ts'
import { age, letters, nothingFound, oneLine } from './text.ts'

export interface ListOptions extends LetterFilter {
  readonly limit: number
  readonly maxReplays: number
  readonly json?: boolean
}

/** Prints the oldest letters, and how many more there are. */
export async function listLetters(redis: Redis, keys: Keys, options: ListOptions): Promise<void> {
  const { limit, maxReplays, json } = options
  const shown: DeadLetter[] = []
  let total = 0
  const progress = new Progress()
  for await (const letter of filtered(redis, keys, options)) {
    if (shown.length < limit) shown.push(letter)
    total++
    progress.update(() => `reading: ${letters(total)} so far`)
  }
  progress.clear()
  if (json) {
    const found = shown.map(letter => letterDocument(letter, maxReplays))
    await say(asciiJson({ stream: keys.stream, group: keys.group, total, letters: found }))
    return
  }
  if (total === 0) {
    await note(await nothingFound(redis, keys))
    return
  }
  const now = await redisNow(redis)
  await say(table(shown, { now, maxReplays, columns: process.stdout.columns }))
  const quarantined = shown.filter(letter => isQuarantined(letter, maxReplays)).length
  if (total > shown.length)
    await note(`${(total - shown.length).toLocaleString('en-US')} more: --limit shows them`)
  if (quarantined > 0) await note(`${quarantined} in quarantine (replayed ${maxReplays} times or more)`)
}

/** Prints all letters, one line of JSON each. */
export async function exportLetters(
  redis: Redis,
  keys: Keys,
  options: LetterFilter & { readonly maxReplays: number },
): Promise<void> {
  const through = await newestDeadLetter(redis, keys)
  if (through === undefined) return
  for await (const letter of filtered(redis, keys, options, { through })) {
    const line = asciiJson(letterDocument(letter, options.maxReplays), 0)
    if (!(await print(process.stdout, `${line}\n`))) return
  }
}

const HEAD = ['ID', 'AGE', 'PACKAGE', 'REASON', 'ATTEMPTS', 'REPLAYS', 'CONSUMER', 'DETAIL']
const RIGHT = new Set(['AGE', 'PACKAGE', 'ATTEMPTS'])
/** Columns of a terminal that the detail needs to stand in one line with the rest. */
const DETAIL = 30
/** A table without lines. */
const BARE = Object.fromEntries(
  'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle'
    .split(' ')
    .map(name => [name, '']),
)

/**
 * Letters as a table.
 *
 * @param columns of the terminal; undefined elsewhere, and nothing is cut off then
 */
export function table(
  shown: readonly DeadLetter[],
  { now, maxReplays, columns }: { now: number; maxReplays: number; columns: number | undefined },
): string {
  const rows = shown.map(letter => cells(letter, now, maxReplays))
  const widths = HEAD.slice(0, -1).map((head, i) =>
    Math.max(head.length, ...rows.map(row => row[i]?.length ?? 0)),
  )
  const taken = widths.reduce((sum, width) => sum + width + 2, 0) // each with two spaces after it
  const padded = widths.map(width => width + 2)
  const below = columns !== undefined && columns - taken < DETAIL
  const head = below ? HEAD.slice(0, -1) : HEAD
  const made = new Table({
    chars: BARE,
    head: head.map(name => pc.dim(name)),
    colAligns: head.map(name => (RIGHT.has(name) ? 'right' : 'left')),
    style: { 'padding-left': 0, 'padding-right': 2, head: [], border: [], compact: true },
    ...(columns !== undefined && { colWidths: below ? padded : [...padded, columns - taken] }),
  })
  for (const [i, row] of rows.entries()) {
    const detail = row.pop() ?? ''
    const marked = isQuarantined(shown[i] as DeadLetter, maxReplays) ? row.map(mark) : row
    made.push(below ? marked : [...marked, detail])
    if (below) made.push([{ content: `  ${detail}`, colSpan: head.length }])
  }
  return made.toString().replace(/[ \t]+$/gm, '')
}

function mark(text: string): string {
  return text === '' ? text : pc.yellow(text)
}

function cells(letter: DeadLetter, now: number, maxReplays: number): string[] {
  const { id, at, reason, attempts, replays, consumer = '', detail } = letter
  return [
    id,
    age(now - at),
    String(letter.package ?? '-'),
    oneLine(reason),
    String(attempts),
    isQuarantined(letter, maxReplays) ? `${replays}, quarantined` : String(replays),
    oneLine(consumer) || '-',
    oneLine(detail),
  ]
}
