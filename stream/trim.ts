import { setImmediate as turn } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import type { Events } from './events.ts'
import type { Keys } from './keys.ts'
import { refusal, StreamUnusable } from './open.ts'
import type { Entry } from './pages.ts'
import { Script } from './scripts.ts'
import { ATTRIBUTE } from './semconv.ts'
import { record, spansOf } from './tracing.ts'

export interface TrimOptions {
  readonly epoch: string
  /** Trims only when the stream is longer than this. */
  readonly above: number
  /** How many of the newest entries to keep; 1 to 10,000. */
  readonly to: number
  /** Entries a script call removes at most, which bounds how long Redis is busy with one. */
  readonly slice?: number
  readonly events?: Events
}

export interface Trimmed {
  readonly removed: number
  readonly length: number
  /** The group that keeps the stream from being trimmed to `to`. */
  readonly pinnedBy?: string
}

const script = new Script<[removed: number, length: number, more: number, pinnedBy: string, missing: string]>(
  'trim',
)

/**
 * Trims the stream's old end, safely: never an entry that a recorded group was not delivered or has not
 * settled. Throws `StreamUnusable` while a recorded group is missing, `RedisError` EPOCH in a new life.
 */
export async function trim(redis: Redis, keys: Keys, options: TrimOptions): Promise<Trimmed> {
  const { epoch, above, to, slice = 5000, events } = options
  const started = performance.now()
  const step = async (keep: number) => {
    try {
      return await script.run(redis, [keys.stream, keys.head], [epoch, keep, slice])
    } catch (error) {
      throw refusal(error)
    }
  }
  let removed = 0
  let length = 0
  let pinnedBy = ''
  let slices = 0
  // The first look only measures: a stream that is short enough is left alone.
  for (let more = 1; more; slices++) {
    const [gone, left, again, by, missing] = await step(slices === 0 ? Number.MAX_SAFE_INTEGER : to)
    if (missing) throw new StreamUnusable('GROUPGONE', missing)
    removed += gone
    length = left
    pinnedBy = by
    more = slices === 0 ? Number(left > above) : again
    await turn() // others' commands come between the slices
  }
  const result = { removed, length, ...(pinnedBy && { pinnedBy }) }
  if (removed > 0) await note(redis, keys, result)
  if (slices > 1) {
    const { name, attributes: common } = spansOf(keys, 'trim')
    const attributes = {
      ...common,
      [ATTRIBUTE.removed]: removed,
      [ATTRIBUTE.length]: length,
      ...(pinnedBy && { [ATTRIBUTE.pinnedBy]: pinnedBy }),
    }
    record({ name, attributes, started }, () =>
      events?.next({ type: 'trimmed', ...result, slices: slices - 1, ms: performance.now() - started }),
    )
  }
  return result
}

const noteScript = new Script<number>('note-trim')

/** Trims that are kept on record. */
const KEPT = 20

/** Puts a trim on record, for people; nothing depends on it. */
async function note(redis: Redis, keys: Keys, { removed, length, pinnedBy = '' }: Trimmed): Promise<void> {
  await noteScript.run(redis, [keys.trims], [KEPT, removed, length, pinnedBy]).catch(() => {})
}

/** The last trims that removed something, newest first. `at`: Unix ms by Redis' clock. */
export async function lastTrims(
  redis: Redis,
  keys: Keys,
  limit: number,
): Promise<({ at: number } & Trimmed)[]> {
  const entries = (await answer(redis.xrevrange(keys.trims, '+', '-', 'COUNT', limit))) as Entry[]
  return entries.map(([id, [, removed, , length, , pinnedBy]]) => ({
    at: Number.parseInt(id, 10),
    removed: Number(removed),
    length: Number(length),
    ...(pinnedBy && { pinnedBy }),
  }))
}
