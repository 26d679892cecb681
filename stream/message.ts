import type { Template } from './append.ts'

/** A package as a handler sees it. */
export interface Message {
  /** Id of the stream entry that carries it. */
  readonly entry: string
  /** Its number: with the epoch, its identity. */
  readonly package: number
  /** When it was produced, Unix seconds. */
  readonly timestamp: number
  readonly payload: Readonly<Record<string, unknown>>
  /** How many times it was delivered, this one included. */
  readonly deliveries: number
  /** W3C trace context of its producer, when it was sampled. */
  readonly traceparent?: string
  readonly tracestate?: string
}

/** `count` packages to append, which differ only in their numbers; the format that {@link decode} reads. */
export function packages(count: number, now = Date.now()): Template {
  return {
    count,
    before: `{"timestamp_producer":${Math.floor(now / 1000)},"payload":{"package":`,
    after: '}}',
  }
}

/** An entry that no handler can be given. `reason` is one of a few fixed texts, `detail` is for people. */
export class Poison extends Error {
  constructor(
    readonly reason: string,
    readonly detail: string,
  ) {
    super(`${reason}: ${detail}`)
    this.name = 'Poison'
  }
}

/**
 * Reads the entry format: field `data` holds
 * `{"timestamp_producer": <unix seconds>, "payload": {"package": <n>, …}}`.
 *
 * @param fields name, value, name, value, …
 * @throws {Poison} when it is anything else
 */
export function decode(entry: string, fields: readonly string[], deliveries: number): Message {
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
    package: number as number,
    timestamp,
    payload: body?.payload as Record<string, unknown>,
    deliveries,
  }
  if (traceparent === undefined) return message
  return tracestate === undefined ? { ...message, traceparent } : { ...message, traceparent, tracestate }
}

/** A value as a person may see it. Not what is nested: JSON.parse reads deeper than JSON.stringify writes. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value)
}
