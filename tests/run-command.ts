import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Exit, processesIn, ServiceProcess, until } from '@conveyor/chaos'
import { beforeEach, expect, onTestFinished, vi } from 'vitest'

vi.setConfig({ testTimeout: 300_000 })

const main = fileURLToPath(new URL('../cli/dist/main.js', import.meta.url))
export const OK: Exit = { code: 0, signal: null }
/** Ms that a command may take on a machine that is busy with other things. */
export const PATIENCE = 120_000

/** The `conveyor` command, run in a folder of each test's own, where it also keeps its Redis. */
export interface Commands {
  readonly dir: string
  /** Starts `conveyor <args>`. */
  start(args: string, env?: NodeJS.ProcessEnv): ServiceProcess
  /** Runs it to its end, which must be a good one; returns what it printed. */
  run(args: string, env?: NodeJS.ProcessEnv): Promise<string>
}

/** For all tests of a file; each fails if it leaves a process behind. */
export function useCommands(): Commands {
  let dir: string
  const started: ServiceProcess[] = []
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'conveyor-command-'))
    const here = dir
    onTestFinished(async ({ task }) => {
      const failed = task.result?.state === 'fail'
      if (failed) console.error(`${started.map(one => one.lastWords(40)).join('\n')}\nkept: ${here}`)
      await Promise.all(started.splice(0).map(one => one.kill()))
      const left = await processesIn(here)
      for (const line of left) process.kill(Number.parseInt(line, 10), 'SIGKILL')
      if (failed) return
      expect(left, 'processes that the test left behind').toEqual([])
      await rm(here, { recursive: true, force: true, maxRetries: 10 })
    })
  })
  const start = (args: string, env: NodeJS.ProcessEnv = {}) => {
    const command = new ServiceProcess('conveyor', main, args.split(' '), {
      env: { ...process.env, ...env },
      cwd: dir,
    })
    started.push(command)
    return command
  }
  return {
    get dir() {
      return dir
    },
    start,
    async run(args, env) {
      const command = start(args, env)
      expect(await command.ended(PATIENCE), command.lastWords(40)).toEqual(OK)
      return command.output
    },
  }
}

/** Waits until a command has printed something like that. */
export const said = (command: ServiceProcess, pattern: RegExp) =>
  until(
    () => pattern.exec(command.output) ?? undefined,
    `conveyor says ${pattern}`,
    PATIENCE,
    () => command.lastWords(40),
  )
