import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import type { Keys } from './keys.ts'
import { compareIds } from './letter-filter.ts'
import { Script } from './scripts.ts'

/** What must be in the output files, of one instant. */
export interface DueInFiles {
  /** '' when the stream was never opened. */
  readonly epoch: string
  /** Last package given out. */
  readonly sequence: number
  /**
   * Of the packages 1 to this, each is in an output, or in the dead letters, or purged, or is pending, or has come back and is on its
   * way again, which {@link unsettledAmong} tells. Undefined when it cannot be told, among entries of others.
   */
  readonly top: number | undefined
  /** Those among them that are pending, and perhaps others. */
  readonly pending: readonly number[]
  /** Bytes of each consumer's output: committed, and known to be on disk. */
  readonly files: ReadonlyMap<string, { readonly committed: number; readonly flushed: number }>
}

const dueScript = new Script<
  [epoch: string, sequence: number, top: number, pending: number[], files: (string | number)[]]
>('due-in-files')
const backScript = new Script<[next: string, found: string[]]>('came-back')
const waitingScript = new Script<[cursor: string, found: string[]]>('waiting')

/** Entries, or messages that wait, looked at in one step. */
const PAGE = 1000

export async function dueInFiles(redis: Redis, keys: Keys): Promise<DueInFiles> {
  const names = [keys.stream, keys.head, keys.files, keys.output('')]
  const [epoch, sequence, top, pending, rows] = await dueScript.run(redis, names, [keys.group])
  const files = new Map<string, { committed: number; flushed: number }>()
  for (let i = 0; i < rows.length; i += 3)
    files.set(String(rows[i]), { committed: Number(rows[i + 1]), flushed: Number(rows[i + 2]) })
  return { epoch, sequence, top: top < 0 ? undefined : top, pending, files }
}

/** Packages that wait for another attempt, each with the entry under which it waits. */
export async function waitingPackages(redis: Redis, keys: Keys): Promise<Map<number, string>> {
  const found = new Map<number, string>()
  for (let cursor = '0'; ; ) {
    const [next, rows] = await waitingScript.run(redis, [keys.waiting], [cursor, PAGE])
    for (let i = 0; i < rows.length; i += 2) {
      const number = Number(rows[i + 1])
      if (number > 0) found.set(number, rows[i] as string)
    }
    if (next === '0') return found
    cursor = next
  }
}

/**
 * Which of these packages wait for another attempt, are pending, or have come back and are not settled. It looks at all that is in
 * the stream from the first entry on that is not settled.
 */
export async function unsettledAmong(
  redis: Redis,
  keys: Keys,
  suspects: ReadonlySet<number>,
): Promise<Set<number>> {
  const found = new Set<number>()
  // A second look finds what moved from one place to another during the first.
  for (let look = 0; look < 2; look++) {
    for (const number of (await waitingPackages(redis, keys)).keys())
      if (suspects.has(number)) found.add(number)
    for (const number of (await dueInFiles(redis, keys)).pending) if (suspects.has(number)) found.add(number)
    await addCameBack(redis, keys, suspects, found)
  }
  return found
}

async function addCameBack(
  redis: Redis,
  keys: Keys,
  suspects: ReadonlySet<number>,
  found: Set<number>,
): Promise<void> {
  const { last, oldest } = await position(redis, keys)
  for (let from = oldest ?? `(${last}`; ; ) {
    const [next, rows] = await backScript.run(redis, [keys.stream], [from, PAGE])
    for (let i = 0; i < rows.length; i += 2) {
      const [entry, number] = [rows[i] as string, Number(rows[i + 1])]
      if (!suspects.has(number) || found.has(number)) continue
      if (compareIds(entry, last) > 0 || (await isPending(redis, keys, entry))) found.add(number)
    }
    if (next === '') return
    from = `(${next}`
  }
}

/** The last entry that was delivered, and the oldest that is pending. */
async function position(redis: Redis, keys: Keys): Promise<{ last: string; oldest: string | undefined }> {
  const groups = (await answer(redis.xinfo('GROUPS', keys.stream)).catch(() => [])) as string[][]
  const group = groups.find(row => row[1] === keys.group) ?? []
  const last = group[group.indexOf('last-delivered-id') + 1] ?? '0-0'
  const [, oldest] =
    group.length === 0
      ? []
      : ((await answer(redis.xpending(keys.stream, keys.group))) as [number, string | null])
  return { last, oldest: oldest ?? undefined }
}

async function isPending(redis: Redis, keys: Keys, entry: string): Promise<boolean> {
  return ((await answer(redis.xpending(keys.stream, keys.group, entry, entry, 1))) as unknown[]).length > 0
}
