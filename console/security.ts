import { guard, isLoopback, Problem } from '@conveyor/service'
import type { MiddlewareHandler } from 'hono'

export interface SecurityOptions {
  readonly token: string | undefined
  /** Where the console listens. */
  readonly host: string
}

/** Nothing but what the console serves itself is loaded, and no script or style stands in a page. */
export const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "form-action 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

/** The header that a change must carry: a form or a link cannot send it, and a page of another origin may not. */
const MARK = 'x-conveyor'

export function withHeaders(): MiddlewareHandler {
  return async (c, next) => {
    await next()
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value)
  }
}

/**
 * Who may read, and who may change something. What listens on this machine only answers under this machine's names, so
 * that no name of somebody else's can be made to point here.
 */
export function security({ token, host }: SecurityOptions): MiddlewareHandler {
  const guarded = guard(token, host, 'CONSOLE_TOKEN')
  return async (c, next) => {
    const asked = c.req.header('host') ?? new URL(c.req.url).host
    if (isLoopback(host) && !isLoopback(asked.replace(/:\d+$/, '')))
      throw new Problem(
        403,
        'this console answers on this machine only: http://localhost, or http://127.0.0.1',
      )
    const site = c.req.header('sec-fetch-site') ?? 'same-origin'
    if (c.req.path.startsWith('/api/') && site !== 'same-origin' && site !== 'none')
      throw new Problem(403, 'pages of other origins may not ask')
    if (c.req.method === 'GET' || c.req.method === 'HEAD') return next()
    if (c.req.header(MARK) !== '1') throw new Problem(403, 'a header "X-Conveyor: 1" is needed for a change')
    const origin = c.req.header('origin')
    if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== asked))
      throw new Problem(403, 'pages of other origins can change nothing')
    return guarded(c, next)
  }
}

/** Whether changes are taken, and if not, why. */
export function changesOf({ token, host }: SecurityOptions): {
  changes: 'open' | 'token' | 'refused'
  why: string | null
} {
  if (token !== undefined) return { changes: 'token', why: null }
  if (isLoopback(host)) return { changes: 'open', why: null }
  return {
    changes: 'refused',
    why: `HOST=${host} can be reached from elsewhere: set CONSOLE_TOKEN to allow changes`,
  }
}
