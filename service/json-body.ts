import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { Problem } from './problem.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Refuses larger bodies. One whose length is told need not be counted, which would cost more than all else.
 *
 * @param setting what sets it, if anything does
 */
export function limitedTo(maxSize: number, setting?: string): MiddlewareHandler {
  const onError = () => {
    throw new Problem(
      413,
      `a body of at most ${maxSize} bytes is allowed${setting === undefined ? '' : ` (${setting})`}`,
    )
  }
  const counted = bodyLimit({ maxSize, onError })
  return async (c, next) => {
    const length = c.req.header('content-length')
    if (length === undefined || c.req.header('transfer-encoding') !== undefined) return counted(c, next)
    return Number(length) > maxSize ? onError() : next()
  }
}

/** The media type of a body, in small letters; '' when it has none. */
export function mediaType(c: Context): string {
  return (c.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/**
 * The body's text, which is JSON as it was sent: what a number or a text looks like is nobody's business here. Throws
 * `Problem`.
 *
 * @param others what else than JSON is allowed there, for people
 */
export async function jsonText(c: Context, others = ''): Promise<string> {
  const type = mediaType(c)
  if (type !== 'application/json' && !type.endsWith('+json'))
    throw new Problem(415, `content-type ${JSON.stringify(type)}: application/json${others} is allowed`)
  return decoded(await c.req.arrayBuffer())
}

/** Throws `Problem` for what is not UTF-8. `index`: which message of several. */
export function decoded(bytes: ArrayBuffer | Uint8Array, index?: number): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Problem(400, `${located(index)}UTF-8 is allowed`)
  }
}

/** Throws `Problem` for what is not JSON. `index`: which message of several. */
export function parsed(text: string, index?: number): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Problem(400, `${located(index)}JSON is allowed: ${(error as Error).message}`)
  }
}

function located(index: number | undefined): string {
  return index === undefined ? '' : `message ${index}: `
}
