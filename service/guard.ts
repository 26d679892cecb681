import { createHash, timingSafeEqual } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { Problem } from './problem.ts'

/** Whether an address can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host)
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/

/**
 * Lets through what changes nothing, and whatever carries the token. Without a token, changes are for this machine only:
 * the service must listen on a loopback address, and no page of another origin may ask for them.
 *
 * @param setting the variable that sets the token, for people
 */
export function guard(token: string | undefined, host: string, setting = 'API_TOKEN'): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.method === 'GET' || c.req.method === 'HEAD' || c.req.method === 'OPTIONS') return next()
    if (token !== undefined) {
      const given = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1]
      if (given !== undefined && same(given, token)) return next()
      throw new Problem(401, `a header "Authorization: Bearer <${setting}>" is needed`, {
        headers: { 'www-authenticate': 'Bearer' },
      })
    }
    if (!isLoopback(host)) {
      throw new Problem(
        403,
        `HOST=${host} can be reached from elsewhere: set ${setting} to allow requests that change something`,
      )
    }
    const origin = c.req.header('origin')
    const asked = c.req.header('host') ?? new URL(c.req.url).host
    if (!isLoopback(asked.replace(/:\d+$/, '')) || (origin && hostOf(origin) !== asked))
      throw new Problem(403, `without ${setting}, pages of other origins can change nothing`)
    return next()
  }
}

/** Compares in a time that says nothing about where they differ, or how long they are. */
function same(a: string, b: string): boolean {
  const [hashOfA, hashOfB] = [a, b].map(text => createHash('sha256').update(text).digest()) as [
    Buffer,
    Buffer,
  ]
  return timingSafeEqual(hashOfA, hashOfB)
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
