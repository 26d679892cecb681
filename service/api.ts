import { Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { docsPage } from './docs-page.ts'
import { guard } from './guard.ts'
import type { Logger } from './log.ts'
import { Problem } from './problem.ts'

export interface ApiOptions {
  /** What requests that change something must carry. */
  readonly token: string | undefined
  /** Where the service listens. */
  readonly host: string
  readonly log: Logger
  /** Why it is not ready; undefined when it is. */
  readonly notReady: () => string | undefined
  /** The API as an OpenAPI document. */
  readonly document: object
  /** Title of the page that shows it. */
  readonly title: string
}

/**
 * What every service's API has: who may change something, errors as `application/problem+json`, `GET /healthz`,
 * `GET /readyz`, `GET /openapi.json` and, to read and to try out, `GET /docs`. Routes are added to it.
 */
export function serviceApi({ token, host, log, notReady, document, title }: ApiOptions): Hono {
  return new Hono()
    .onError((error, c) => {
      if (error instanceof Problem) return error.respond(c)
      if (error instanceof HTTPException) return new Problem(error.status, error.message).respond(c)
      log.error({ error, path: c.req.path }, 'a request failed')
      return new Problem(500, 'an unexpected error, which is in the log').respond(c)
    })
    .notFound(c => new Problem(404, `${c.req.method} ${c.req.path}: see /docs for what there is`).respond(c))
    .use(guard(token, host))
    .get('/healthz', c => c.json({ status: 'ok' }))
    .get('/readyz', c => {
      const reason = notReady()
      return reason === undefined ? c.json({ status: 'ready' }) : c.json({ status: 'not ready', reason }, 503)
    })
    .get('/openapi.json', c => c.json(document))
    .route('/', docsPage(title))
}
