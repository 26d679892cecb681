import { Hono } from 'hono'
import type { Bridge } from './bridge.ts'

/** `GET /healthz` the process lives · `GET /readyz` it is at work · `GET /status` what it did, as JSON. */
export function healthApi(bridge: Pick<Bridge, 'ready' | 'status'>): Hono {
  return new Hono()
    .get('/healthz', c => c.json({ status: 'ok' }))
    .get('/readyz', c => c.json({ status: bridge.ready ? 'ready' : 'not ready' }, bridge.ready ? 200 : 503))
    .get('/status', c => c.json(bridge.status))
}
