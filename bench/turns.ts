import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { end, whileAlive } from './processes.ts'
import { until } from './throughput.ts'

/** A process that is stopped must not find its commands overdue when it goes on. */
export const PATIENT = { COMMAND_TIMEOUT_MS: '600000' }

/** A process that is measured, and how many messages it has done. */
export interface Runner {
  readonly child: ChildProcess
  readonly done: () => Promise<number>
  /** How many there are at most. */
  readonly most: number
  /** Messages that it does before its first turn. */
  readonly warmUp: number
}

export interface TurnOptions {
  readonly turns: number
  readonly windowMs: number
  /** Hears of each turn. */
  readonly progress?: (turn: number) => void
}

/**
 * Messages per second of two processes that take turns, each stopped while it is the other's: rounds one after the
 * other would rather measure how the machine drifts. Ends early when one has nothing left to do; the processes end too.
 */
export async function takeTurns(
  runners: readonly [Runner, Runner],
  { turns, windowMs, progress }: TurnOptions,
): Promise<[number[], number[]]> {
  const children = runners.map(({ child }) => child)
  const rates: [number[], number[]] = [[], []]
  const takeAll = async () => {
    await Promise.all(
      runners.map(async ({ child, done, warmUp }) => {
        await until(async () => (await done()) >= warmUp)
        child.kill('SIGSTOP')
      }),
    )
    for (let turn = 0; turn < turns; turn++) {
      progress?.(turn + 1)
      for (const who of turn % 2 ? ([1, 0] as const) : ([0, 1] as const)) {
        const rate = await oneTurn(runners[who], windowMs)
        if (rate === undefined) return
        rates[who].push(rate)
      }
    }
  }
  try {
    await whileAlive(children, takeAll())
  } finally {
    await end(children, 'SIGKILL')
  }
  const both = Math.min(rates[0].length, rates[1].length)
  if (both === 0) throw new Error('the backlog was used up before a turn was over')
  return [rates[0].slice(0, both), rates[1].slice(0, both)]
}

/** Lets a process run for a while. Undefined when it had nothing left to do before that was over. */
async function oneTurn({ child, done, most }: Runner, windowMs: number): Promise<number | undefined> {
  child.kill('SIGCONT')
  const [before, started] = [await done(), performance.now()]
  await sleep(windowMs)
  const [after, ended] = [await done(), performance.now()]
  child.kill('SIGSTOP')
  return after < most ? (after - before) / ((ended - started) / 1000) : undefined
}
