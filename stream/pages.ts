import type { Redis } from 'ioredis'
import { answer } from './connection.ts'

/** An entry of a stream: id, and name, value, name, value, … */
export type Entry = [id: string, fields: string[]]

/** Entries read at once, first and at most, and how many characters that should be: an entry can be a megabyte. */
const FIRST = 10
const MOST = 500
const SIZE = 4 * 1024 * 1024

/**
 * Reads the entries of a stream from `start` to `end` as XRANGE takes them, a few megabytes at a time.
 *
 * @param backwards the newest first
 */
export async function* entriesOf(
  redis: Redis,
  stream: string,
  start: string,
  end: string,
  backwards = false,
): AsyncGenerator<Entry> {
  let [from, to] = [start, end]
  for (let count = FIRST; ; ) {
    const page = (await answer(
      backwards
        ? redis.xrevrange(stream, to, from, 'COUNT', count)
        : redis.xrange(stream, from, to, 'COUNT', count),
    )) as Entry[]
    yield* page
    const last = page.at(-1)
    if (!last || page.length < count) return
    if (backwards) to = `(${last[0]}`
    else from = `(${last[0]}`
    count = Math.max(1, Math.min(MOST, 2 * count, Math.floor((SIZE * page.length) / sizeOf(page))))
  }
}

function sizeOf(page: Entry[]): number {
  return page.reduce((sum, [, fields]) => fields.reduce((size, { length }) => size + length, sum), 1)
}
