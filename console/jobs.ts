import { randomUUID } from 'node:crypto'
import { type Logger, Problem } from '@conveyor/service'
import {
  deadLetter,
  type Judge,
  type Keys,
  type LetterFilter,
  MAX_REPLAYS,
  NotReplayable,
  pace,
  planAll,
  purgeDeadLetter,
  replayDeadLetter,
  replayJudge,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'
import type { Job } from './contract.ts'
import type { Link } from './link.ts'

/** What letters a bulk action is about. */
export type Wanted = (
  | { readonly ids: readonly string[] }
  | { readonly filter: LetterFilter; readonly count: number; readonly through: string }
) & { readonly rate?: number | undefined; readonly quarantined?: boolean | undefined }

type Act = (redis: Redis, keys: Keys, id: string) => Promise<boolean>

const ACTS: Readonly<Record<Job['action'], Act>> = {
  replay: async (redis, keys, id) => (await replayDeadLetter(redis, keys, id)) !== undefined,
  purge: purgeDeadLetter,
}

/** Ms for which a job is shown after its end. */
const SHOWN = 60_000

type Running = { -readonly [K in keyof Job]: Job[K] }

/** Bulk actions on letters, one at a time. They go on when nobody looks. */
export class Jobs {
  private jobs: Running[] = []
  private stop = new AbortController()

  constructor(
    private readonly link: Link,
    private readonly keys: Keys,
    private readonly log: Logger,
  ) {}

  /** Newest first. */
  get list(): readonly Job[] {
    const now = Date.now()
    this.jobs = this.jobs.filter(({ ended }) => ended === null || now - ended < SHOWN)
    return this.jobs.toReversed()
  }

  /** Chooses the letters, and begins. Throws `Problem` 409 when another job runs, or when the count is not theirs. */
  async start(action: Job['action'], wanted: Wanted, command: string): Promise<Job> {
    if (this.jobs.some(({ state }) => state === 'running'))
      throw new Problem(409, 'another bulk action runs: wait for its end, or stop it')
    const job: Running = {
      id: randomUUID(),
      action,
      state: 'running',
      total: 0,
      done: 0,
      gone: 0,
      refused: 0,
      started: Date.now(),
      ended: null,
      error: null,
      command,
    }
    this.jobs.push(job)
    this.stop = new AbortController()
    try {
      const ids = await this.link.use(redis => this.choose(redis, action, wanted, job))
      job.total = ids.length
      void this.run(job, ids, wanted.rate, this.stop.signal)
      return { ...job }
    } catch (error) {
      this.jobs = this.jobs.filter(one => one !== job)
      throw error
    }
  }

  /** Ends a job between two letters. Returns whether it ran. */
  end(id: string): boolean {
    const job = this.jobs.find(one => one.id === id && one.state === 'running')
    if (job) this.stop.abort()
    return job !== undefined
  }

  private async choose(
    redis: Redis,
    action: Job['action'],
    wanted: Wanted,
    job: Running,
  ): Promise<readonly string[]> {
    const most = wanted.quarantined ? Number.MAX_SAFE_INTEGER : MAX_REPLAYS
    const judge: Judge = action === 'purge' ? () => undefined : await replayJudge(redis, this.keys, most)
    if ('ids' in wanted) {
      const chosen: string[] = []
      for (const id of new Set(wanted.ids)) {
        const letter = await deadLetter(redis, this.keys, id)
        if (letter?.group !== this.keys.group) job.gone++
        else if (judge(letter)) job.refused++
        else chosen.push(id)
      }
      return chosen
    }
    const { ids } = await planAll(redis, this.keys, wanted.filter, judge, { through: wanted.through })
    if (ids.length !== wanted.count)
      throw new Problem(
        409,
        `${ids.length} dead letters match now, not ${wanted.count}: look again, and confirm that number`,
      )
    return ids
  }

  private async run(
    job: Running,
    ids: readonly string[],
    rate: number | undefined,
    stop: AbortSignal,
  ): Promise<void> {
    const turn = pace(rate, stop)
    try {
      for (const id of ids) {
        await turn()
        if (stop.aborted) break
        await this.one(job, id)
      }
      job.state = stop.aborted ? 'stopped' : 'done'
    } catch (error) {
      job.state = 'failed'
      job.error = (error as Error).message
      this.log.error({ error, job: job.id }, 'a bulk action failed')
    }
    job.ended = Date.now()
  }

  private async one(job: Running, id: string): Promise<void> {
    try {
      const acted = await this.link.use(redis => ACTS[job.action](redis, this.keys, id))
      if (acted) job.done++
      else job.gone++
    } catch (error) {
      if (!(error instanceof NotReplayable)) throw error
      job.refused++
    }
  }
}
