import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { end, processorTime, whileAlive } from './processes.ts'
import { until } from './throughput.ts'

/** A process that waits, stopped, until the other one is warm must not find its commands overdue when it goes on. */
export const PATIENT = { COMMAND_TIMEOUT_MS: '600000' }

/** A process that is measured, and how many messages it has done. */
export interface Runner {
  readonly child: ChildProcess
  readonly done: () => Promise<number>
  /** How many there are at most. */
  readonly most: number
  /** Messages that it does before it is measured. */
  readonly warmUp: number
}

/** What a process did in a while. */
export interface Window {
  /** Messages per second. */
  readonly perSecond: number
  /** Processor time of the process for a message, µs. */
  readonly micros: number
}

export interface WindowOptions {
  readonly windows: number
  readonly windowMs: number
  /** Hears of each window. */
  readonly progress?: (window: number) => void
}

/**
 * Two processes work at the same time, each as fast as the other and the machine let it: one after the other would
 * rather measure how the machine drifts. Ends early when one has nothing left to do; the processes end too.
 */
export async function sideBySide(
  runners: readonly [Runner, Runner],
  { windows, windowMs, progress }: WindowOptions,
): Promise<[Window[], Window[]]> {
  const children = runners.map(({ child }) => child)
  const found: [Window[], Window[]] = [[], []]
  const measure = async () => {
    await Promise.all(
      runners.map(async ({ child, done, warmUp }) => {
        await until(async () => (await done()) >= warmUp)
        child.kill('SIGSTOP')
      }),
    )
    for (const child of children) child.kill('SIGCONT')
    await sleep(windowMs)
    let before = await look(runners)
    for (let window = 0; window < windows; window++) {
      progress?.(window + 1)
      await sleep(windowMs)
      const after = await look(runners)
      if (runners.some(({ most }, who) => (after[who] as Look).messages >= most)) return
      for (const who of [0, 1] as const) found[who].push(between(before[who], after[who]))
      before = after
    }
  }
  try {
    await whileAlive(children, measure())
  } finally {
    await end(children, 'SIGKILL')
  }
  if (found[0].length === 0) throw new Error('the backlog was used up before anything was measured')
  return found
}

interface Look {
  readonly messages: number
  readonly at: number
  readonly busy: number
}

function look([a, b]: readonly [Runner, Runner]): Promise<[Look, Look]> {
  const at = async ({ child, done }: Runner) => ({
    messages: await done(),
    at: performance.now(),
    busy: await processorTime(child.pid as number),
  })
  return Promise.all([at(a), at(b)])
}

function between(before: Look, after: Look): Window {
  const messages = after.messages - before.messages
  return {
    perSecond: messages / ((after.at - before.at) / 1000),
    micros: ((after.busy - before.busy) * 1000) / messages,
  }
}
