import { rate } from '@conveyor/service'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { z } from 'zod'
import type { Producer } from './producer.ts'

const body = z.object({ rate: z.union([z.number(), z.string()]).transform(String).pipe(rate) })

/**
 * The producer's HTTP API.
 * `GET /healthz` the process lives · `GET /readyz` Redis answers and the groups are there ·
 * `GET /status` what it does, as JSON · `POST /pause` · `POST /resume` · `PUT /rate` `{"rate": 100}` or
 * `{"rate": "max"}`
 */
export function producerApi(producer: Producer): Hono {
  return new Hono()
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
      if (!parsed.success) {
        const allowed = parsed.error.issues[0]?.message
        return c.json({ error: 'rate', allowed: `a JSON object {"rate": …}: ${allowed}` }, 400)
      }
      producer.setRate(parsed.data.rate)
      return c.json(producer.status())
    })
}
