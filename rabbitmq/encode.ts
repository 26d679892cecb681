import type { Finished, Message, Origin } from '@conveyor/stream'
import type { Options } from 'amqplib'

/** A package as it is published. */
export interface Outgoing {
  readonly id: string
  readonly content: Buffer
  readonly options: Options.Publish
}

/** Bytes of an id and characters of a trace header; what AMQP allows, and what W3C asks for. Seconds until the year 9999. */
const MOST = { id: 255, trace: 512, timestamp: 253_402_300_799 }

/** A package that no message can carry, and why. */
export class Unsendable extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'Unsendable'
  }
}

/**
 * The message that stands for a package. Its id is the same however often the package is given again.
 *
 * @param maxBytes of its body
 * @throws {Unsendable}
 */
export function encode(
  { message, result }: Finished,
  { stream, group, epoch }: Origin,
  maxBytes: number,
): Outgoing {
  const content = Buffer.from(textOf(result === undefined ? bodyOf(message.payload) : result))
  if (content.length > maxBytes)
    throw new Unsendable(`${content.length} bytes: at most ${maxBytes} can be sent`)
  const id = `${stream}:${group}:${epoch}:${message.id}`
  if (Buffer.byteLength(id) > MOST.id) throw new Unsendable(`an id of at most ${MOST.id} bytes can be sent`)
  const options = {
    persistent: true,
    mandatory: true,
    messageId: id,
    contentType: 'application/json',
    ...timestampOf(message),
    headers: { 'conveyor-package': message.package, ...traceOf(message) },
  }
  return { id, content, options }
}

/** AMQP counts whole seconds from 1970; an entry that was appended by others may say anything. */
function timestampOf({ timestamp }: Message): Options.Publish {
  return timestamp >= 0 && timestamp <= MOST.timestamp ? { timestamp: Math.trunc(timestamp) } : {}
}

function traceOf({ traceparent, tracestate }: Message): Record<string, string> {
  const has = (text: string | undefined): text is string => text !== undefined && text.length <= MOST.trace
  return { ...(has(traceparent) && { traceparent }), ...(has(tracestate) && { tracestate }) }
}

/** What came from outside goes on as it came. */
function bodyOf(payload: Readonly<Record<string, unknown>>): unknown {
  return 'body' in payload ? payload.body : payload
}

function textOf(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw new Unsendable(`what the handler returned is no JSON: ${(error as Error).message}`)
  }
  if (text === undefined) throw new Unsendable(`what the handler returned is no JSON: a ${typeof value}`)
  return text
}
