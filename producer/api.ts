import { type Logger, limitedTo, Problem, rate, serviceApi } from '@conveyor/service'
import type { Hono } from 'hono'
import { z } from 'zod'
import type { ProducerConfig } from './config.ts'
import { messagesApi } from './messages-api.ts'
import { openApi } from './openapi.ts'
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
  return serviceApi({
    token,
    host,
    log,
    notReady: () => (producer.ready ? undefined : 'Redis does not answer, or a group is missing'),
    document: openApi({ schema: schema.schema, maxBytes, token: token !== undefined }),
    title: "Conveyor: the producer's API",
  })
    .get('/status', c => c.json(producer.status()))
    .post('/pause', c => {
      producer.pause(true)
      return c.json(producer.status())
    })
    .post('/resume', c => {
      producer.pause(false)
      return c.json(producer.status())
    })
    .put('/rate', limitedTo(1024), async c => {
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
}
