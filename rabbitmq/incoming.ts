import type { IngestRequest } from '@conveyor/stream'
import { propagation, ROOT_CONTEXT } from '@opentelemetry/api'
import type { ConsumeMessage } from 'amqplib'

/** Why a message is rejected, in a few words that metrics can count by. */
export type Reason = 'not JSON' | 'too large' | 'id reused'

/** A message that can never be appended. `detail` is for people. */
export class Unusable extends Error {
  constructor(
    readonly reason: Reason,
    readonly detail: string,
  ) {
    super(`${reason}: ${detail}`)
    this.name = 'Unusable'
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The id that its publisher gave a message; undefined when it gave none. */
export function idOf({ properties: { messageId } }: ConsumeMessage): string | undefined {
  return typeof messageId === 'string' && messageId !== '' ? messageId : undefined
}

/**
 * What is appended for a message. Its key is made of the queue's name and its id.
 *
 * @param maxBytes of its body
 * @throws {Unusable}
 */
export function requestOf(message: ConsumeMessage, queue: string, maxBytes: number): IngestRequest {
  const { content, properties } = message
  if (content.length > maxBytes)
    throw new Unusable(
      'too large',
      `${content.length} bytes: at most ${maxBytes} are allowed (MAX_BODY_BYTES)`,
    )
  const id = idOf(message)
  return {
    bodies: [jsonIn(content)],
    // No key that comes by HTTP has two newlines.
    ...(id !== undefined && { key: `amqp\n${queue}\n${id}` }),
    ...parentOf(properties.headers ?? {}),
  }
}

function jsonIn(content: Buffer): string {
  try {
    const text = utf8.decode(content)
    JSON.parse(text)
    return text
  } catch (error) {
    throw new Unusable('not JSON', (error as Error).message)
  }
}

/** The publisher's trace. */
function parentOf({ traceparent, tracestate }: Record<string, unknown>): Pick<IngestRequest, 'parent'> {
  if (typeof traceparent !== 'string') return {}
  const carrier = { traceparent, ...(typeof tracestate === 'string' && { tracestate }) }
  return { parent: propagation.extract(ROOT_CONTEXT, carrier) }
}
