import { Readable } from 'node:stream'
import { diagnose } from '@conveyor/doctor'
import { Problem } from '@conveyor/service'
import { type Keys, lastActions, packageOfEntry } from '@conveyor/stream'
import { Hono } from 'hono'
import { z } from 'zod'
import type { ConsoleConfig } from './config.ts'
import type { About, AuditPage, Doctor } from './contract.ts'
import { exported, letterOf, letterPage } from './letters.ts'
import type { Link } from './link.ts'
import { messageOf } from './message.ts'
import { pendingPage } from './pending.ts'
import {
  checked,
  entryId,
  letterFilter,
  letterQuery,
  parameters,
  pendingQuery,
  searchQuery,
} from './query.ts'
import { search } from './search.ts'
import type { Watch } from './watch.ts'

export interface ReadOptions {
  readonly config: ConsoleConfig
  readonly keys: Keys
  readonly link: Link
  readonly watch: Watch
  readonly about: () => About
}

const which = z
  .string()
  .regex(/^([1-9]\d{0,15}|\d{1,15}-\d{1,15})$/, 'a package number, or the id of an entry, is allowed')
const auditQuery = z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) })

/** What can be looked at. Nothing here changes anything. */
export function readApi({ config, keys, link, watch, about }: ReadOptions): Hono {
  const { OUTPUT_DIR: outputDir, JAEGER_URL } = config
  const jaegerUrl = JAEGER_URL.replace(/\/$/, '')
  const queue = oneAtATime()
  return new Hono()
    .get('/about', c => c.json(about()))
    .get('/snapshot', async c => c.json(await watch.once()))
    .get('/pending', async c => {
      const query = checked(pendingQuery, parameters(c.req.url))
      return c.json(await link.use(redis => pendingPage(redis, keys, query)))
    })
    .get('/letters', async c => {
      const given = parameters(c.req.url, ['reason'])
      const [filter, query] = [checked(letterFilter, given), checked(letterQuery, given)]
      return c.json(await queue(() => link.use(redis => letterPage(redis, keys, filter, query))))
    })
    .get('/letters/export', c => {
      const filter = checked(letterFilter, parameters(c.req.url, ['reason']))
      const lines = (async function* () {
        yield* exported(await link.redis(), keys, filter)
      })()
      const name = `dead-letters-${keys.stream}-${keys.group}.ndjson`
      return c.body(Readable.toWeb(Readable.from(lines)) as ReadableStream, 200, {
        'content-type': 'application/x-ndjson; charset=utf-8',
        'content-disposition': `attachment; filename="${name}"`,
      })
    })
    .get('/letters/:id', async c => {
      const id = checked(entryId, c.req.param('id'))
      const letter = await link.use(redis => letterOf(redis, keys, id, jaegerUrl))
      if (!letter)
        throw new Problem(404, `there is no dead letter ${id}: it may have been replayed or purged`)
      return c.json(letter)
    })
    .get('/messages/:which', async c => {
      const wanted = checked(which, c.req.param('which'))
      const message = await queue(() =>
        link.use(async redis => {
          const number = wanted.includes('-') ? await packageOfEntry(redis, keys, wanted) : Number(wanted)
          if (number === undefined) return undefined
          return messageOf(redis, keys, number, { outputDir, jaegerUrl })
        }),
      )
      if (!message)
        throw new Problem(404, `neither the stream nor its history knows entry ${wanted}: ask by its number`)
      return c.json(message)
    })
    .get('/search', async c => {
      const wanted = checked(searchQuery, parameters(c.req.url))
      return c.json(await queue(() => link.use(redis => search(redis, keys, wanted, outputDir))))
    })
    .get('/doctor', async c => c.json(await queue(() => examine(config))))
    .get('/audit', async c => {
      const { limit } = checked(auditQuery, parameters(c.req.url))
      const page: AuditPage = { entries: await link.use(redis => lastActions(redis, keys, limit)) }
      return c.json(page)
    })
}

async function examine(config: ConsoleConfig): Promise<Doctor> {
  const { REDIS_URL, STREAM, GROUP, OUTPUT_DIR, BEAT_INTERVAL_MS, DEATH_BEATS } = config
  const { at, findings, checks } = await diagnose(
    {
      redisUrl: REDIS_URL,
      stream: STREAM,
      group: GROUP,
      outputDir: OUTPUT_DIR,
      beatInterval: BEAT_INTERVAL_MS,
      deathBeats: DEATH_BEATS,
    },
    process.env,
  )
  return {
    at: Date.parse(at),
    findings,
    checks: checks.map(({ id, status, text, fix = null }) => ({ id, status, text, fix })),
  }
}

/** Looks that go through everything wait for each other, and some of them at most: the rest is refused. */
function oneAtATime(most = 20): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  return async work => {
    if (waiting >= most) throw new Problem(503, 'too many searches at once: try again in a moment')
    waiting++
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine.finally(() => {
      waiting--
    })
  }
}
