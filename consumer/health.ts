import { Hono } from 'hono'
import type { Consumer } from './consumer.ts'

/** `GET /healthz` the process lives · `GET /readyz` it is at work · `GET /status` what it did, as JSON. */
export function healthApi(consumer: Consumer): Hono {
  return new Hono()
    .get('/healthz', c => c.json({ status: 'ok' }))
    .get('/readyz', c =>
      c.json({ status: consumer.ready ? 'ready' : 'not ready' }, consumer.ready ? 200 : 503),
    )
    .get('/status', c => c.json(consumer.status))
}
