import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { end, processorTime, whileAlive } from './processes.ts'
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

export interface Turn {
  /** Messages per second. */
  readonly perSecond: number
  /** Processor time of the process for a message, µs. */
  readonly micros: number
}

export interface TurnOptions {
  readonly turns: number
  readonly windowMs: number
  /** Hears of each turn. */
  readonly progress?: (turn: number) => void
}

/**
 * Two processes take turns, each stopped while it is the other's: rounds one after the other would rather measure how
 * the machine drifts. Ends early when one has nothing left to do; the processes end too.
 */
export async function takeTurns(
  runners: readonly [Runner, Runner],
  { turns, windowMs, progress }: TurnOptions,
): Promise<[Turn[], Turn[]]> {
  const children = runners.map(({ child }) => child)
  const taken: [Turn[], Turn[]] = [[], []]
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
        const measured = await oneTurn(runners[who], windowMs)
        if (!measured) return
        taken[who].push(measured)
      }
    }
  }
  try {
    await whileAlive(children, takeAll())
  } finally {
    await end(children, 'SIGKILL')
  }
  const both = Math.min(taken[0].length, taken[1].length)
  if (both === 0) throw new Error('the backlog was used up before a turn was over')
  return [taken[0].slice(0, both), taken[1].slice(0, both)]
}

/** Lets a process run for a while. Undefined when it had nothing left to do before that was over. */
async function oneTurn({ child, done, most }: Runner, windowMs: number): Promise<Turn | undefined> {
  const look = async () => ({
    messages: await done(),
    at: performance.now(),
    busy: await processorTime(child.pid as number),
  })
  child.kill('SIGCONT')
  const before = await look()
  await sleep(windowMs)
  const after = await look()
  child.kill('SIGSTOP')
  const messages = after.messages - before.messages
  if (after.messages >= most) return undefined
  return {
    perSecond: messages / ((after.at - before.at) / 1000),
    micros: ((after.busy - before.busy) * 1000) / messages,
  }
}
