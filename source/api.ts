import { randomInt } from 'node:crypto'
import { codeOf, isRowFault, isSettingsFault, MOST_SAMPLES } from '@conveyor/postgres'
import {
  ConfigError,
  type FieldError,
  jsonText,
  type Logger,
  limitedTo,
  Problem,
  parsed,
  serviceApi,
} from '@conveyor/service'
import { ConnectionLost, RedisError } from '@conveyor/stream'
import type { Context, Hono } from 'hono'
import { z } from 'zod'
import type { SourceConfig, SourceTableName } from './config.ts'
import { openApi } from './openapi.ts'
import { Away, type Sources } from './sources.ts'

const MOST_SEED = 2 ** 32 - 1
const PART = { error: 'must be a number from 0 to 1' }

/** What `POST /sources/{name}/orders` takes. */
const samples = z.strictObject({
  count: whole(1, MOST_SAMPLES),
  share: z.number(PART).min(0, PART).max(1, PART).default(0.5),
  seed: whole(0, MOST_SEED).default(() => randomInt(MOST_SEED + 1)),
})

/** The HTTP API of the sources, which `openapi.ts` describes and `GET /docs` shows. */
export function sourcesApi(
  sources: Sources,
  config: Pick<SourceConfig, 'API_TOKEN' | 'HOST'>,
  log: Logger,
): Hono {
  const { API_TOKEN: token, HOST: host } = config
  return serviceApi({
    token,
    host,
    log,
    notReady: () => sources.notReady,
    document: openApi({ token: token !== undefined }),
    title: 'Conveyor: the API of its sources',
  })
    .get('/status', c => c.json(sources.status()))
    .get('/sources', async c =>
      c.json({ sources: await Promise.all(sources.named.map(of => sources.view(of))) }),
    )
    .get('/sources/:name', async c => c.json(await sources.view(named(c, sources))))
    .post('/sources/:name/orders', limitedTo(4096), async c => {
      const of = named(c, sources)
      const given = samplesIn(await jsonText(c))
      const added = await answered(sources.fill(of, given), 504)
      return c.json({ ...added, source: of.name, share: given.share, seed: given.seed }, 201)
    })
    .post('/sources/:name/runs', async c => {
      const run = await answered(sources.start(named(c, sources)))
      return c.json(run, 202, { location: `/sources/${run.source}/runs/${run.id}` })
    })
    .get('/sources/:name/runs/:id', async c => {
      const of = named(c, sources)
      const id = c.req.param('id')
      const run = /^\d{1,18}$/.test(id) ? await answered(sources.runOf(of, id)) : undefined
      if (run) return c.json(run)
      throw new Problem(404, `${id}: no such run of ${of.name}`)
    })
    .post('/runs', async c => {
      const runs = await answered(Promise.all(sources.named.map(of => sources.start(of))))
      return c.json({ runs }, 202)
    })
}

function whole(min: number, max: number) {
  const error = { error: `must be a whole number from ${min} to ${max}` }
  return z.int(error).min(min, error).max(max, error)
}

function named(c: Context, sources: Sources): SourceTableName {
  const name = c.req.param('name') ?? ''
  const found = sources.find(name)
  if (found) return found
  const all = sources.named.map(one => one.name)
  throw new Problem(404, `${JSON.stringify(name)}: no such source; there is ${all.join(', ')}`)
}

/** Throws `Problem`, with all fields that are wrong. */
function samplesIn(text: string): z.output<typeof samples> {
  const result = samples.safeParse(parsed(text))
  if (result.success) return result.data
  const errors = result.error.issues.flatMap((issue): FieldError[] => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map(key => ({ path: pointer([key]), message: 'is not allowed' }))
    const missing = issue.code === 'invalid_type' && issue.path.length === 0
    return [{ path: pointer(issue.path), message: missing ? 'must be an object' : issue.message }]
  })
  const [first] = errors
  throw new Problem(422, `${first?.path || 'it'} ${first?.message}`, { errors })
}

function pointer(path: readonly PropertyKey[]): string {
  return path.map(part => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/**
 * Settles as `work` does, and rejects with what a client is told of an error.
 *
 * @param unanswered what it is told when PostgreSQL did not answer
 */
async function answered<T>(work: Promise<T>, unanswered: 503 | 504 = 503): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw refusalOf(error as Error, unanswered)
  }
}

function refusalOf(error: Error, unanswered: 503 | 504): Error {
  const later = { headers: { 'retry-after': '1' } }
  if (error instanceof ConfigError) return new Problem(409, error.message)
  if (error instanceof Away) return new Problem(503, error.message, later)
  if (error instanceof RedisError || error instanceof ConnectionLost)
    return new Problem(503, `Redis: ${error.message}`, later)
  if (isSettingsFault(error) || isRowFault(error)) return new Problem(409, `PostgreSQL: ${error.message}`)
  if (codeOf(error) !== undefined) return new Problem(503, `PostgreSQL: ${error.message}`, later)
  if (unanswered === 503) return new Problem(503, `PostgreSQL does not answer: ${error.message}`, later)
  return new Problem(504, `PostgreSQL did not answer, and may have done it: ${error.message}`)
}
