import { jsonText, limitedTo, Problem, parsed } from '@conveyor/service'
import {
  control,
  deadLetter,
  type Keys,
  NotReplayable,
  NotThere,
  recordAction,
  replayDeadLetter,
  retryNow,
} from '@conveyor/stream'
import { getConnInfo } from '@hono/node-server/conninfo'
import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { commandOf } from './commands.ts'
import type { Action, Bulk, Done, Started, Target } from './contract.ts'
import type { Demo } from './demo.ts'
import type { Jobs } from './jobs.ts'
import type { Link } from './link.ts'
import { bulk, checked, consumerId, entryId } from './query.ts'

export interface ChangeOptions {
  readonly keys: Keys
  readonly link: Link
  readonly jobs: Jobs
  readonly demo: Demo
  readonly target: Target
}

/** Bytes of a body. */
const MOST = 1_048_576
const number = z.object({ package: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER) })
const edited = z.object({ payload: z.record(z.string(), z.unknown()) })
const demoBody = z.object({ consumer: consumerId.optional() })
const CONTROLS = { pause: 'paused', resume: undefined, drain: 'draining' } as const
const SAYS = {
  pause: 'is to pause',
  resume: 'is to go on',
  drain: 'is to finish what it has, and end',
} as const

/** What can be changed. Each change is on record, with the command line that does the same. */
export function changeApi({ keys, link, jobs, demo, target }: ChangeOptions): Hono {
  const record = (c: Context, action: string, what: string, count: number, command: string) =>
    link.use(redis => recordAction(redis, keys, { who: whoAsks(c), action, what, count, command }))

  const app = new Hono().use(limitedTo(MOST))

  app.post('/consumers/:id/:what{pause|resume|drain}', async c => {
    const consumer = checked(consumerId, c.req.param('id'))
    const what = c.req.param('what') as keyof typeof CONTROLS
    try {
      await link.use(redis => control(redis, keys, consumer, CONTROLS[what]))
    } catch (error) {
      if (error instanceof NotThere) throw new Problem(409, error.message)
      throw error
    }
    const command = commandOf({ do: what, consumer }, target)
    await record(c, what, consumer, 1, command)
    return c.json<Done>({ text: `consumer ${consumer} ${SAYS[what]}`, command })
  })

  app.post('/retry', async c => {
    const { package: wanted } = checked(number, await body(c))
    if (!(await link.use(redis => retryNow(redis, keys, wanted))))
      throw new Problem(409, `package ${wanted} does not wait for another attempt`)
    const command = commandOf({ do: 'retry', package: wanted }, target)
    await record(c, 'retry', `package ${wanted}`, 1, command)
    return c.json<Done>({ text: `package ${wanted} is tried again now`, command })
  })

  app.post('/letters/:what{replay|purge}', async c => {
    const what = c.req.param('what') as 'replay' | 'purge'
    const given = await body(c)
    const wanted = checked(bulk, given)
    const action: Action = { do: what, bulk: given as Bulk }
    const command = commandOf(action, target)
    const job = await jobs.start(what, wanted, command)
    const which =
      'ids' in wanted
        ? wanted.ids.join(' ')
        : `all that match ${JSON.stringify((given as { filter: unknown }).filter)}`
    await record(c, what, which, job.total, command)
    const text = `${job.total} dead letters are ${what === 'replay' ? 'replayed' : 'purged'}`
    return c.json<Started>({ text, command, job }, 202)
  })

  app.post('/letters/:id/edit', async c => {
    const id = checked(entryId, c.req.param('id'))
    const { payload } = checked(edited, await body(c))
    const entry = await link.use(async redis => {
      const letter = await deadLetter(redis, keys, id)
      if (!letter)
        throw new Problem(404, `there is no dead letter ${id}: it may have been replayed or purged`)
      if (letter.group !== keys.group) throw new Problem(409, `dead letter ${id} is of another group`)
      try {
        return await replayDeadLetter(redis, keys, id, payload)
      } catch (error) {
        if (error instanceof NotReplayable) throw new Problem(409, error.message)
        throw error
      }
    })
    if (entry === undefined) throw new Problem(409, `dead letter ${id} has just been replayed or purged`)
    const command = commandOf({ do: 'edit', letter: id, payload }, target)
    await record(c, 'edit', `dead letter ${id}`, 1, command)
    return c.json<Done>({ text: `replayed with the new payload, as entry ${entry}`, command })
  })

  app.post('/jobs/:id/stop', async c => {
    const id = c.req.param('id')
    if (!jobs.end(id)) throw new Problem(409, 'this bulk action does not run (any more)')
    await record(c, 'stop', `bulk action ${id}`, 1, 'Ctrl-C')
    return c.json<Done>({ text: 'it ends after the letter in hand', command: 'Ctrl-C' })
  })

  app.post('/demo/:what{kill|stop|resume|add|cut|restart-redis}', async c => {
    if (!demo.offered) throw new Problem(404, 'faults can be injected in a demonstration only: npm start')
    const what = c.req.param('what') as 'kill'
    const { consumer } = checked(demoBody, await body(c))
    const text = await demo.run(what, consumer)
    const command = `# ${text}`
    await record(c, `demo ${what}`, consumer ?? 'all', 1, command).catch(() => {}) // Redis may be the one
    return c.json<Done>({ text, command })
  })

  return app
}

async function body(c: Context): Promise<unknown> {
  return parsed(await jsonText(c))
}

/** For the record: where it was asked from. */
function whoAsks(c: Context): string {
  try {
    return `console ${getConnInfo(c).remote.address ?? ''}`.trim()
  } catch {
    return 'console' // there is no socket
  }
}
