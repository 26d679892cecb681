import type { Redis } from 'ioredis'
import { answer, RedisError } from './connection.ts'
import type { Failure } from './failure.ts'
import { type Keys, keysOf } from './keys.ts'
import { decode, encodeReturned, Poison } from './message.ts'
import { refusal } from './open.ts'
import { type Entry, entriesOf } from './pages.ts'
import { Script } from './scripts.ts'
import { ATTRIBUTE } from './semconv.ts'
import { originOf, record, spansOf } from './tracing.ts'

/** A message that could not be handled. */
export interface DeadLetter {
  /** Id of the letter: `<ms>-<seq>`, the time of death by Redis' clock. */
  readonly id: string
  /** Unix ms. */
  readonly at: number
  /** One of a few fixed texts. */
  readonly reason: string
  /** What was thrown, or what is wrong with it. */
  readonly detail: string
  readonly stack?: string
  readonly group: string
  /** The consumer that had it last. */
  readonly consumer?: string
  /** Its number, unless that cannot be read. */
  readonly package?: number
  /** The message's id: the entry which carried it first. */
  readonly message: string
  /** The entry which carried it last. */
  readonly entry: string
  /** Failed attempts since it was appended or last replayed. */
  readonly attempts: number
  /** How many times its last entry was delivered. */
  readonly deliveries: number
  /** How many times it was replayed. */
  readonly replays: number
  /** The failed attempts, oldest first, those before a replay included. */
  readonly failures: readonly Failure[]
  /** The run that it belongs to; '' when its payload is missing. */
  readonly epoch: string
  /** The entry's own fields; empty when its payload is missing. */
  readonly fields: Readonly<Record<string, string>>
  readonly traceId?: string
}

/** A letter cannot be replayed. */
export class NotReplayable extends Error {
  constructor(
    readonly letter: string,
    readonly reason: string,
  ) {
    super(`dead letter ${letter}: ${reason}`)
    this.name = 'NotReplayable'
  }
}

/** Which letters to read, by their ids. */
export interface LetterRange {
  /** Id after which to begin; default at the oldest. */
  readonly after?: string
  /** Id at which to end, itself not included; default none. */
  readonly before?: string
  /** Id of the last one to be read, used unless `before` is given; default none. */
  readonly through?: string
  /** Newest first; default oldest first. */
  readonly newestFirst?: boolean
}

/** Reads the dead letters of a stream, all groups, oldest first unless it is told otherwise; those that come while it reads are among them. */
export async function* deadLetters(
  redis: Redis,
  keys: Keys,
  { after, before, through = '+', newestFirst = false }: LetterRange = {},
): AsyncGenerator<DeadLetter> {
  const start = after === undefined ? '-' : `(${after}`
  const end = before === undefined ? through : `(${before}`
  for await (const [id, fields] of entriesOf(redis, keys.dead, start, end, newestFirst))
    yield parse(keys, id, fields).letter
}

/**
 * Id of the newest letter, all groups; undefined when there is none. Who replays letters reads through this one: those
 * that die again meanwhile come after it.
 */
export async function newestDeadLetter(redis: Redis, keys: Keys): Promise<string | undefined> {
  const [entry] = (await answer(redis.xrevrange(keys.dead, '+', '-', 'COUNT', 1))) as Entry[]
  return entry?.[0]
}

/** One letter; undefined when there is none of that id. */
export async function deadLetter(redis: Redis, keys: Keys, id: string): Promise<DeadLetter | undefined> {
  const found = await find(redis, keys, id)
  return found?.letter
}

async function find(redis: Redis, keys: Keys, id: string) {
  const [entry] = (await answer(redis.xrange(keys.dead, id, id))) as Entry[]
  return entry && parse(keys, ...entry)
}

/**
 * Why a letter cannot be replayed as it is; undefined when it can.
 *
 * @param epoch name of the stream's present life
 */
export function whyNotReplayable(
  { fields, epoch: own }: Pick<DeadLetter, 'fields' | 'epoch'>,
  epoch: string | undefined,
): string | undefined {
  if (Object.keys(fields).length === 0) return NO_PAYLOAD
  return own === epoch ? undefined : earlierRun(own)
}

const NO_PAYLOAD = 'its payload is missing, there is nothing to replay'

function earlierRun(epoch: string): string {
  return `it belongs to the earlier run ${epoch || 'of unknown name'}`
}

const replayScript = new Script<string>('replay')
const purgeScript = new Script<number>('purge')

/**
 * Replays a letter: its message returns to the stream for the letter's group, and begins at attempt 1. Atomic, and
 * may be repeated. Number, trace and failures so far are kept, and its replays are counted.
 *
 * @param payload what to replace the message's payload with; its package number stays
 * @returns the id of the new entry; undefined when there is no such letter (any more)
 * @throws {NotReplayable} it is of an earlier run, or carries no message that could be handled
 */
export async function replayDeadLetter(
  redis: Redis,
  keys: Keys,
  id: string,
  payload?: Readonly<Record<string, unknown>>,
): Promise<string | undefined> {
  const started = performance.now()
  const found = await find(redis, keys, id)
  if (!found) return undefined
  const { letter, header } = found
  const own = keysOf(keys.stream, letter.group)
  const past = { id: letter.message, attempt: 1, replays: letter.replays + 1, failures: letter.failures }
  const data = payload === undefined ? '' : edited(letter, payload)
  try {
    const entry = await replayScript.run(
      redis,
      [keys.stream, keys.head, keys.dead, own.counts, own.history],
      [
        id,
        letter.epoch,
        letter.reason,
        encodeReturned(letter.group, past),
        data,
        letter.package ?? '',
        header,
      ],
    )
    if (entry === '') return undefined
    recordReplay(own, letter, entry, started)
    return entry
  } catch (error) {
    const code = error instanceof RedisError ? error.code : ''
    if (code === 'EMPTY') throw new NotReplayable(id, NO_PAYLOAD)
    if (code === 'EPOCH') throw new NotReplayable(id, earlierRun(letter.epoch))
    throw refusal(error)
  }
}

function recordReplay(keys: Keys, letter: DeadLetter, entry: string, started: number): void {
  const { name, attributes } = spansOf(keys, 'replay')
  record({
    name,
    attributes: {
      ...attributes,
      [ATTRIBUTE.group]: keys.group,
      [ATTRIBUTE.entry]: entry,
      [ATTRIBUTE.replays]: letter.replays + 1,
      ...(letter.package !== undefined && { [ATTRIBUTE.package]: letter.package }),
    },
    parent: originOf(letter.fields),
    started,
  })
}

/** The data of a message with another payload: same package, same time. */
function edited(letter: DeadLetter, payload: Readonly<Record<string, unknown>>): string {
  const { id, package: number, fields } = letter
  if (number === undefined) {
    throw new NotReplayable(
      id,
      'it has no package number, so there is none under which it could be committed',
    )
  }
  const named = payload.package ?? number
  if (named !== number) {
    throw new NotReplayable(id, `payload.package is ${JSON.stringify(named)}: ${number} is what it is`)
  }
  const timestamp = timestampOf(fields.data) ?? Math.floor(Number.parseInt(letter.message, 10) / 1000)
  return JSON.stringify({ timestamp_producer: timestamp, payload: { package: number, ...payload } })
}

function timestampOf(data: string | undefined): number | undefined {
  try {
    return decode('', ['data', data ?? ''], 0).timestamp
  } catch (error) {
    if (error instanceof Poison) return undefined
    throw error
  }
}

/** Deletes a letter for good. Atomic, and may be repeated. Returns whether there was one. */
export async function purgeDeadLetter(redis: Redis, keys: Keys, id: string): Promise<boolean> {
  const letter = await deadLetter(redis, keys, id)
  if (!letter) return false
  const own = keysOf(keys.stream, letter.group)
  const { reason, package: number = '', epoch } = letter
  const names = [keys.dead, keys.head, own.counts, own.history, own.purged]
  return (await purgeScript.run(redis, names, [id, reason, number, epoch])) === 1
}

/** Numbers of the packages of this run whose letters were purged, in no order. */
export async function purgedPackages(redis: Redis, keys: Keys): Promise<number[]> {
  return (await answer(redis.smembers(keys.purged))).map(Number)
}

/** Packages of a group's present run that are dead letters, or were until they were purged, each with its reason. */
export async function deadPackages(
  redis: Redis,
  keys: Keys,
  epoch: string | undefined,
): Promise<Map<number, string>> {
  const dead = new Map<number, string>()
  for (const number of await purgedPackages(redis, keys)) dead.set(number, 'purged')
  for await (const letter of deadLetters(redis, keys)) {
    const isOurs = letter.group === keys.group && letter.epoch === epoch
    if (isOurs && letter.package !== undefined) dead.set(letter.package, letter.reason)
  }
  return dead
}

/** A letter, and how many strings its header has, after which the entry's own fields begin. */
function parse(keys: Keys, id: string, strings: string[]): { letter: DeadLetter; header: number } {
  let end = 0
  while (end < strings.length && strings[end] !== 'epoch') end += 2
  const header = end + 2
  const own = pairs(strings.slice(0, header))
  const fields = pairs(strings.slice(header))
  const number = Number(own.package)
  const traceId = fields.traceparent?.split('-')[1]
  const letter: DeadLetter = {
    id,
    at: Number.parseInt(id, 10),
    reason: own.reason ?? '',
    detail: own.detail ?? '',
    ...(own.stack !== undefined && { stack: own.stack }),
    group: own.group ?? keys.group,
    ...(own.consumer !== undefined && { consumer: own.consumer }),
    ...(number > 0 && { package: number }),
    message: own.id ?? own.entry ?? '',
    entry: own.entry ?? '',
    attempts: Number(own.attempts ?? 0),
    deliveries: Number(own.deliveries ?? 0),
    replays: Number(own.replays ?? 0),
    failures: failuresIn(own.failures),
    epoch: own.epoch ?? '',
    fields,
    ...(traceId && { traceId }),
  }
  return { letter, header }
}

function failuresIn(text = '[]'): Failure[] {
  try {
    const failures: unknown = JSON.parse(text)
    return Array.isArray(failures) ? failures : []
  } catch {
    return [] // written by somebody else
  }
}

function pairs(strings: string[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (let i = 0; i + 1 < strings.length; i += 2) found[strings[i] as string] = strings[i + 1] as string
  return found
}
