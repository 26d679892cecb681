import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { RedisError } from './connection.ts'
import type { Keys } from './keys.ts'
import { Script } from './scripts.ts'
import { ATTRIBUTE } from './semconv.ts'
import { record, spansOf } from './tracing.ts'

export interface OpenStream {
  /** Name of the stream's present life. */
  readonly epoch: string
  /** Last package number given out. */
  readonly sequence: number
  /** Whether this call began the epoch. */
  readonly created: boolean
}

const WAY_OUT = {
  NOHEAD: (stream: string) =>
    `stream ${stream} holds entries, but its head {${stream}}:head is missing: restore it, or delete the stream`,
  STREAMGONE: (stream: string) =>
    `stream ${stream} was deleted while its head {${stream}}:head stands: packages are lost; restore the stream, or start a new run (--fresh)`,
  GROUPGONE: (group: string) =>
    `consumer group ${group} was destroyed: creating it again would deliver packages twice; restore it, or start a new run (--fresh)`,
  GROUPLATE: (group: string) =>
    `consumer group ${group} cannot join this run: entries that it never saw are already trimmed; start a new run (--fresh)`,
}

/** The stream's keys contradict each other in a way that going on would lose or double packages. */
export class StreamUnusable extends Error {
  constructor(
    readonly code: keyof typeof WAY_OUT,
    readonly subject: string,
  ) {
    super(WAY_OUT[code](subject))
    this.name = 'StreamUnusable'
  }
}

/** Turns the scripts' named refusals into {@link StreamUnusable}; other errors come back as they are. */
export function refusal(error: unknown): unknown {
  if (!(error instanceof RedisError) || !(error.code in WAY_OUT)) return error
  return new StreamUnusable(error.code as keyof typeof WAY_OUT, error.message.split(' ')[1] ?? '')
}

const script = new Script<[epoch: string, sequence: number, created: number]>('open')

/** A name for a life of the stream: sorts by time, does not repeat, good as a folder name. */
function newEpoch(): string {
  const time = new Date().toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')
  return `${time}-${randomBytes(3).toString('hex')}`
}

/**
 * Opens the stream: the first caller begins its epoch and creates the groups at the stream's start, all
 * others find them. Throws {@link StreamUnusable} when something that was recorded is missing.
 *
 * @param groups the groups to record, one at least
 */
export async function openStream(redis: Redis, keys: Keys, groups: string[]): Promise<OpenStream> {
  const started = performance.now()
  try {
    const [epoch, sequence, created] = await script.run(
      redis,
      [keys.stream, keys.head],
      [newEpoch(), ...groups],
    )
    if (created) {
      const { name, attributes } = spansOf(keys, 'create')
      record({ name, attributes: { ...attributes, [ATTRIBUTE.epoch]: epoch }, started })
    }
    return { epoch, sequence, created: created === 1 }
  } catch (error) {
    throw refusal(error)
  }
}
