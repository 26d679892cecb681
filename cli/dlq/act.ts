import { EXIT } from '@conveyor/service'
import {
  type Judge,
  type Keys,
  type LetterFilter,
  NotReplayable,
  type Plan,
  type PlanOptions,
  pace,
  planAll,
  type Unfit,
} from '@conveyor/stream'
import { asciiJson } from '@conveyor/validator'
import type { Redis } from 'ioredis'
import { recorded } from '../actions.ts'
import { note, Progress, print, say } from '../print.ts'
import { confirmed, demandTerminal } from './confirm.ts'
import { interruptible } from './interrupt.ts'
import { planSome } from './plan.ts'
import { histogram, letters, nothingFound, oneLine } from './text.ts'

/** What replay and purge have in common: letters are chosen, counted, confirmed, and then acted on one by one. */
export interface ActOptions extends LetterFilter {
  readonly all?: boolean
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
  /** Letters to act on at most. */
  readonly max?: number
  /** Letters a second; default all that can be done. */
  readonly rate?: number
}

/** What is done with each letter. */
export interface Act {
  readonly name: 'replay' | 'purge'
  readonly past: 'replayed' | 'purged'
  /** What it means, after the number of letters. */
  readonly means: string
  readonly judge: Judge
  /** How those in quarantine are taken along, if they are left out. */
  readonly hint?: string
  /** In one atomic step; false when the letter is gone. */
  run(id: string): Promise<boolean>
}

/** How far it came. */
interface Outcome {
  done: number
  /** Letters that somebody else replayed or purged meanwhile. */
  gone: number
  refused: Unfit[]
  interrupted: boolean
}

/** Does it, and says what was done. Returns the exit code. */
export async function actOn(
  redis: Redis,
  keys: Keys,
  ids: readonly string[],
  options: ActOptions,
  act: Act,
): Promise<number> {
  const { all, yes, dryRun = false, json = false, max = Number.POSITIVE_INFINITY } = options
  const asks = !yes && !dryRun
  return interruptible(async stop => {
    const plan = all
      ? await planned(redis, keys, options, act.judge, { max, stop })
      : await planSome(redis, keys, ids, act.judge, max)
    if (asks || !json) await announce(redis, keys, plan, act, dryRun)
    const outcome: Outcome = { done: 0, gone: 0, refused: [...plan.refused], interrupted: stop.aborted }
    if (plan.ids.length > 0 && !dryRun && !stop.aborted) {
      if (asks && !(await confirmed(`${capital(act.name)} ${letters(plan.ids.length)}?`, stop))) {
        await note('nothing was changed')
        return EXIT.failed
      }
      try {
        await each(plan.ids, options, act, outcome, stop)
      } catch (error) {
        await report(plan, outcome, act, { dryRun, json })
        throw error
      }
    }
    if (outcome.done > 0)
      await recorded(redis, keys, act.name, all ? 'all that match' : ids.join(' '), outcome.done)
    await report(plan, outcome, act, { dryRun, json })
    return outcome.refused.length > 0 || outcome.interrupted ? EXIT.failed : EXIT.ok
  })
}

/** Plans, and says how far it has read. */
async function planned(
  redis: Redis,
  keys: Keys,
  filter: LetterFilter,
  judge: Judge,
  options: PlanOptions,
): Promise<Plan> {
  const progress = new Progress()
  const onRead = (read: number) => progress.update(() => `reading: ${letters(read)} so far`)
  const plan = await planAll(redis, keys, filter, judge, { ...options, onRead })
  progress.clear()
  return plan
}

/** Demands what the command needs before anything is read. Throws `ConfigError`. */
export function demandConsent({ yes, dryRun }: ActOptions): void {
  if (!yes && !dryRun) demandTerminal()
}

async function each(
  ids: readonly string[],
  { rate }: ActOptions,
  act: Act,
  outcome: Outcome,
  stop: AbortSignal,
): Promise<void> {
  const turn = pace(rate, stop)
  const progress = new Progress()
  try {
    for (const id of ids) {
      await turn()
      if (stop.aborted) {
        outcome.interrupted = true
        return
      }
      await one(id, act, outcome)
      progress.update(() => `${act.past} ${outcome.done.toLocaleString('en-US')} of ${letters(ids.length)}`)
    }
  } finally {
    progress.clear()
  }
}

async function one(id: string, act: Act, outcome: Outcome): Promise<void> {
  try {
    if (await act.run(id)) outcome.done++
    else outcome.gone++
  } catch (error) {
    if (!(error instanceof NotReplayable)) throw error
    outcome.refused.push({ id, count: 1, why: error.message })
    await note(`conveyor: ${oneLine(error.message)}`)
  }
}

/** Says what is going to be done, and what is not. The result goes to standard output: of a dry run, that is this. */
async function announce(redis: Redis, keys: Keys, plan: Plan, act: Act, dryRun: boolean): Promise<void> {
  const { ids, matched, quarantined, refused, reasons } = plan
  const will = dryRun ? 'would' : 'will'
  const said: string[] = []
  if (matched > 0) {
    const some = matched > ids.length ? `the first ${ids.length.toLocaleString('en-US')} of ` : ''
    said.push(`${some}${letters(matched)} ${will} ${act.means}:`, ...histogram(reasons))
  }
  if (quarantined > 0) said.push(`${letters(quarantined)} in quarantine ${will} stay: ${act.hint}`)
  for (const { id, count, why } of refused)
    said.push(id ? `conveyor: ${why}` : `${letters(count)} cannot be ${act.past}: ${oneLine(why)}`)
  if (said.length === 0) said.push(await nothingFound(redis, keys))
  await print(dryRun ? process.stdout : process.stderr, `${said.join('\n')}\n`)
}

async function report(
  { ids, matched, quarantined, reasons }: Plan,
  { done, gone, refused, interrupted }: Outcome,
  { name, past }: Act,
  { dryRun, json }: { dryRun: boolean; json: boolean },
): Promise<void> {
  if (json) {
    const counts = { matched, chosen: ids.length, done, gone, quarantined }
    const document = {
      action: name,
      dryRun,
      interrupted,
      ...counts,
      reasons: Object.fromEntries(reasons),
      refused,
    }
    await say(asciiJson(document))
    return
  }
  if (dryRun || (ids.length === 0 && !interrupted)) return
  const rest = ids.length - done - gone
  const of = rest > 0 ? ` of ${ids.length.toLocaleString('en-US')}` : ''
  await say(
    [
      `${past} ${done.toLocaleString('en-US')}${of} dead letter${ids.length === 1 ? '' : 's'}`,
      ...(gone > 0 ? [`${gone.toLocaleString('en-US')} were gone already`] : []),
      ...(interrupted ? ['interrupted: run it again to go on'] : []),
    ].join(', '),
  )
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}
