import { type Logger, rate } from '@conveyor/service'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { z } from 'zod'
import type { ProducerConfig } from './config.ts'
import { docsPage } from './docs-page.ts'
import { guard } from './guard.ts'
import { messagesApi } from './messages-api.ts'
import { openApi } from './openapi.ts'
import { Problem } from './problem.ts'
import type { Producer } from './producer.ts'
import type { MessageSchema } from './schema.ts'

const body = z.object({ rate: z.union([z.number(), z.string()]).transform(String).pipe(rate) })

/** The producer's HTTP API, which `openapi.ts` describes and `GET /docs` shows. */
export function producerApi(
  producer: Producer,
  config: Pick<ProducerConfig, 'API_TOKEN' | 'HOST' | 'MAX_BODY_BYTES'>,
  schema: MessageSchema,
  log: Logger,
): Hono {
  const { API_TOKEN: token, HOST: host, MAX_BODY_BYTES: maxBytes } = config
  const { ingest, lookup } = producer
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
    .get('/readyz', c =>
      producer.ready
        ? c.json({ status: 'ready' })
        : c.json({ status: 'not ready', reason: 'Redis does not answer, or a group is missing' }, 503),
    )
    .get('/status', c => c.json(producer.status()))
    .post('/pause', c => {
      producer.pause(true)
      return c.json(producer.status())
    })
    .post('/resume', c => {
      producer.pause(false)
      return c.json(producer.status())
    })
    .put('/rate', bodyLimit({ maxSize: 1024 }), async c => {
      const parsed = body.safeParse(await c.req.json().catch(() => undefined))
      if (!parsed.success)
        throw new Problem(400, `a JSON object {"rate": …}: ${parsed.error.issues[0]?.message}`)
      producer.setRate(parsed.data.rate)
      return c.json(producer.status())
    })
    .route(
      '/',
      messagesApi({
        ingest,
        lookup,
        schema,
        maxBytes,
        ready: () => producer.ready,
        full: () => producer.full,
      }),
    )
    .get('/openapi.json', c =>
      c.json(openApi({ schema: schema.schema, maxBytes, token: token !== undefined })),
    )
    .route('/', docsPage())
}
