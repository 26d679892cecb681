import { type Logger, Problem, withoutPassword } from '@conveyor/service'
import { type Keys, MAX_REPLAYS } from '@conveyor/stream'
import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { changeApi } from './change-api.ts'
import type { ConsoleConfig } from './config.ts'
import type { About, Target } from './contract.ts'
import type { Demo } from './demo.ts'
import { eventStream } from './events.ts'
import type { Jobs } from './jobs.ts'
import type { Link } from './link.ts'
import { pageFiles } from './page.ts'
import { readApi } from './read-api.ts'
import { changesOf, HEADERS, security, withHeaders } from './security.ts'
import type { Watch } from './watch.ts'

export interface ConsoleParts {
  readonly config: ConsoleConfig
  readonly keys: Keys
  readonly link: Link
  readonly watch: Watch
  readonly jobs: Jobs
  readonly demo: Demo
  readonly log: Logger
}

/** The console's HTTP API and its page; `contract.ts` says what is asked and answered. */
export function consoleApi(parts: ConsoleParts): Hono {
  const { config, keys, watch, demo, log } = parts
  const secured = { token: config.CONSOLE_TOKEN, host: config.HOST }
  const target = targetOf(config)
  const about = (): About => ({
    version: '0.1.0',
    stream: keys.stream,
    group: keys.group,
    redis: withoutPassword(config.REDIS_URL),
    target,
    ...changesOf(secured),
    jaegerUrl: config.JAEGER_URL.replace(/\/$/, ''),
    demo: demo.offered,
    maxReplays: MAX_REPLAYS,
  })
  const events = new Hono<{ Bindings: HttpBindings }>().get('/events', eventStream(watch, HEADERS))
  return new Hono()
    .onError((error, c) => {
      const problem =
        error instanceof Problem
          ? error
          : error instanceof HTTPException
            ? new Problem(error.status, error.message)
            : new Problem(500, 'an unexpected error, which is in the log')
      if (problem.status === 500) log.error({ error, path: c.req.path }, 'a request failed')
      const response = problem.respond(c)
      for (const [name, value] of Object.entries(HEADERS)) response.headers.set(name, value)
      return response
    })
    .use(withHeaders())
    .get('/healthz', c => c.json({ status: 'ok' }))
    .get('/readyz', c => c.json({ status: 'ready' })) // also without Redis: that is what it then shows
    .use(security(secured))
    .use('/api/*', async (c, next) => {
      await next()
      c.res.headers.set('cache-control', 'no-store')
    })
    .route('/api', events)
    .route('/api', readApi({ ...parts, about }))
    .route('/api', changeApi({ ...parts, target }))
    .all('/api/*', c => {
      throw new Problem(404, `${c.req.method} ${c.req.path}: there is no such thing`)
    })
    .route('/', pageFiles())
}

/** What a command line has to say to mean the same stream and group. */
function targetOf({ STREAM, GROUP }: ConsoleConfig): Target {
  return {
    ...(STREAM !== 'number_stream' && { stream: STREAM }),
    ...(GROUP !== 'consumer_group' && { group: GROUP }),
  }
}
