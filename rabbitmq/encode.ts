import type { Finished, Origin } from '@conveyor/stream'
import type { Options } from 'amqplib'

/** A package as it is published. */
export interface Outgoing {
  readonly id: string
  readonly content: Buffer
  readonly options: Options.Publish
}

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
export function encode({ message, result }: Finished, { stream, epoch }: Origin, maxBytes: number): Outgoing {
  const content = Buffer.from(textOf(result === undefined ? bodyOf(message.payload) : result))
  if (content.length > maxBytes)
    throw new Unsendable(`${content.length} bytes: at most ${maxBytes} can be sent`)
  const { traceparent, tracestate } = message
  const id = `${stream}:${epoch}:${message.id}`
  const options = {
    persistent: true,
    mandatory: true,
    messageId: id,
    contentType: 'application/json',
    timestamp: Math.max(0, Math.trunc(message.timestamp)),
    headers: {
      'conveyor-package': message.package,
      ...(traceparent !== undefined && { traceparent }),
      ...(tracestate !== undefined && { tracestate }),
    },
  }
  return { id, content, options }
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
