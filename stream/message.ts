import type { Template } from './append.ts'
import { type Failure, readFailures } from './failure.ts'
import type { Reason } from './reasons.ts'

/** What happened to a message before the entry that carries it now was appended. */
export interface Past {
  /** The message's id: that of the entry which carried it first. */
  readonly id: string
  /** Counted from 1: how many attempts at handling it there are, this one included. */
  readonly attempt: number
  /** How many times it was replayed from the dead letters. */
  readonly replays: number
  /** The attempts that failed, oldest first. */
  readonly failures: readonly Failure[]
}

/** What an entry says of itself that came back: from waiting for its retry, or from the dead letters. */
export interface Returned extends Past {
  /** The group that it is for; it is nothing to others. */
  readonly group: string
  /** Last package number that had been given out when it was appended. */
  readonly sequence: number
}

/** A package as a handler sees it. */
export interface Message extends Past {
  /** Id of the stream entry that carries it. */
  readonly entry: string
  /** Its number: with the epoch, its identity. */
  readonly package: number
  /** When it was produced, Unix seconds. */
  readonly timestamp: number
  readonly payload: Readonly<Record<string, unknown>>
  /** How many times the entry was delivered, this one included. More than once, when a process died with it. */
  readonly deliveries: number
  /** W3C trace context of its producer, when it was sampled. */
  readonly traceparent?: string
  readonly tracestate?: string
}

/**
 * `count` packages to append, which differ only in their numbers; the format that {@link decode} reads.
 *
 * @param more what their payload has besides `package`
 */
export function packages(
  count: number,
  now = Date.now(),
  more: Readonly<Record<string, unknown>> = {},
): Template {
  const further = JSON.stringify(more).slice(1, -1)
  return {
    count,
    before: `{"timestamp_producer":${Math.floor(now / 1000)},"payload":{"package":`,
    after: further ? `,${further}}}` : '}}',
  }
}

/** An entry that no handler can be given. `detail` is for people. */
export class Poison extends Error {
  /** Its number, when that much can be read. */
  readonly package: number | undefined
  constructor(
    readonly reason: Reason,
    readonly detail: string,
    number?: number,
  ) {
    super(`${reason}: ${detail}`)
    this.name = 'Poison'
    this.package = number
  }
}

/** One for all: there are many packages, and few that fail. */
const NONE: readonly Failure[] = Object.freeze([])

/**
 * Reads the entry format: field `data` holds
 * `{"timestamp_producer": <unix seconds>, "payload": {"package": <n>, …}}`.
 *
 * @param fields name, value, name, value, …
 * @param past as {@link returnedOf} reads it from the same fields
 * @throws {Poison} when it is anything else
 */
export function decode(
  entry: string,
  fields: readonly string[],
  deliveries: number,
  past: Past | null = returnedOf(fields) ?? null,
): Message {
  let data: string | undefined
  let traceparent: string | undefined
  let tracestate: string | undefined
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]
    if (name === 'data') data = fields[i + 1]
    else if (name === 'traceparent') traceparent = fields[i + 1]
    else if (name === 'tracestate') tracestate = fields[i + 1]
  }
  if (data === undefined) throw new Poison('no data', 'the entry has no field named data')
  if (fields.length - (past ? OWN_FIELDS : 0) > MOST_FIELDS)
    throw new Poison('unparseable', `${fields.length / 2} fields are too many`)
  let body: { timestamp_producer?: unknown; payload?: { package?: unknown } } | null
  try {
    body = JSON.parse(data)
  } catch (error) {
    throw new Poison('unparseable', (error as Error).message)
  }
  const number = body?.payload?.package
  if (!Number.isSafeInteger(number) || (number as number) < 1) {
    throw new Poison('no package number', `payload.package is ${shown(number)}, not an integer from 1`)
  }
  const timestamp = body?.timestamp_producer
  // Written into a line as it is: an exponent or a sign would not be read back.
  if (typeof timestamp !== 'number' || !/^\d+(\.\d+)?$/.test(String(timestamp))) {
    throw new Poison('no timestamp', `timestamp_producer is ${shown(timestamp)}, not a number`)
  }
  const message = {
    entry,
    id: past ? past.id : entry,
    package: number as number,
    timestamp,
    payload: body?.payload as Record<string, unknown>,
    deliveries,
    attempt: past ? past.attempt : 1,
    replays: past ? past.replays : 0,
    failures: past ? past.failures : NONE,
  }
  if (traceparent === undefined) return message
  return tracestate === undefined ? { ...message, traceparent } : { ...message, traceparent, tracestate }
}

/** Strings of an entry at most: Lua passes on fewer than 8,000, and a message that is moved is given some more. */
const MOST_FIELDS = 6000
/** Those among them that a message is given when it is moved: traceparent, conveyor, conveyor-sequence. */
const OWN_FIELDS = 6

/**
 * What the fields `conveyor` and `conveyor-sequence` say of an entry that came back; undefined for all others, and when they
 * are not what Conveyor writes.
 */
export function returnedOf(fields: readonly string[]): Returned | undefined {
  if (fields.length === 2) return undefined
  let text: string | undefined
  let sequence = 0
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === 'conveyor') text = fields[i + 1]
    else if (fields[i] === 'conveyor-sequence') sequence = Number(fields[i + 1])
  }
  if (text === undefined) return undefined
  try {
    const { group, id, attempt, replays, failures: listed } = JSON.parse(text)
    const failures = readFailures(listed)
    const numbers = [attempt, replays, sequence].every(value => Number.isSafeInteger(value) && value >= 0)
    const texts = typeof group === 'string' && typeof id === 'string' && /^\d{1,15}-\d{1,15}$/.test(id)
    return numbers && texts && failures ? { group, id, attempt, replays, failures, sequence } : undefined
  } catch {
    return undefined
  }
}

/** The field `conveyor` of an entry that is to come back. */
export function encodeReturned(group: string, { id, attempt, replays, failures }: Past): string {
  return JSON.stringify({ group, id, attempt, replays, failures })
}

/** A value as a person may see it. Not what is nested: JSON.parse reads deeper than JSON.stringify writes. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value)
}
