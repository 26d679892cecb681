import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { createLogUpdate } from 'log-update'
import { good, progress, summary } from './report.ts'
import { chaos, type Result, type Run } from './run.ts'
import { FAULTS, KINDS, type Kind } from './schedule.ts'
import { timeline } from './timeline.ts'
import type { World } from './world.ts'

interface Options {
  readonly packages: number
  readonly consumers: number
  readonly producers: number
  readonly minutes: number
  readonly seed: number
  readonly faults: Kind[]
  readonly every: number
  readonly rate: number
  readonly appendfsync: 'always' | 'everysec' | 'no'
  readonly report: string
}

const width = Math.max(...KINDS.map(kind => kind.length)) + 2
const program = new Command('chaos')
  .description(
    'Breaks a running pipeline in every way it can think of, and checks that every package comes out exactly once.',
  )
  .option('--minutes <m>', 'how long faults go on', number(0.05, 1440), 5)
  .option('--packages <n>', 'how many have to be given out at least, even if that takes longer', whole(0), 0)
  .option('--consumers <n>', 'how many at the beginning', whole(1, 20), 3)
  .option('--producers <n>', 'how many', whole(1, 10), 2)
  .option('--rate <r>', 'packages a second of each producer', whole(1, 1_000_000), 2500)
  .option('--every <ms>', 'time between two faults, on average', whole(1, 600_000), 400)
  .option('--seed <s>', 'repeats the faults of an earlier run (default: a new one)', whole(0, 2 ** 32 - 1))
  .addOption(new Option('--faults <kinds>', 'only these, separated by commas').argParser(kindsOf))
  .addOption(
    new Option(
      '--appendfsync <policy>',
      "Redis' durability; with less than always, a power cut takes numbers back",
    )
      .choices(['always', 'everysec', 'no'])
      .default('always'),
  )
  .option(
    '--report <dir>',
    'where the report, the timeline and, of a run that failed, all it left are put (default: .conveyor/chaos)',
  )
  .addHelpText(
    'after',
    `\nFaults:\n${KINDS.map(kind => `  ${kind.padEnd(width)}${FAULTS[kind].what}`).join('\n')}`,
  )
  .addHelpText(
    'after',
    '\nExit code: 0 exactly once, 1 not, 2 an option that cannot be used, 3 it could not be run.',
  )
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'chaos: ')) })
  .exitOverride(({ code, exitCode }) => process.exit(exitCode === 0 || code === 'commander.help' ? 0 : 2))

function whole(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return text => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`A whole number from ${min} to ${max} is allowed.`)
    return value
  }
}

function number(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (!/^[\d.]+$/.test(text) || !(value >= min && value <= max))
      throw new InvalidArgumentError(`A number from ${min} to ${max} is allowed.`)
    return value
  }
}

function kindsOf(text: string): Kind[] {
  const kinds = text.split(',') as Kind[]
  const unknown = kinds.find(kind => !KINDS.includes(kind))
  if (unknown !== undefined)
    throw new InvalidArgumentError(`${unknown || 'An empty name'} is none of ${KINDS.join(', ')}.`)
  return kinds
}

const options = program.parse().opts<Options>()
const report = resolve(options.report ?? '.conveyor/chaos')
const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32)
const say = (text: string) => process.stdout.write(`${text}\n`)

const enough = new AbortController()
const now = new AbortController()
process.on('SIGINT', () => {
  if (enough.signal.aborted) now.abort()
  else say('\nno more faults: what was given out comes out, then it is checked (Ctrl-C again ends at once)')
  enough.abort()
})
process.on('SIGTERM', () => now.abort())

const live = process.stdout.isTTY ? createLogUpdate(process.stdout) : undefined
let display: NodeJS.Timeout | undefined

/** Says what the run is made of, and shows how it goes on. */
function watch(run: Run, world: World): void {
  for (const [kind, why] of world.impossible)
    if (kinds.includes(kind)) say(`left out here: ${kind}, which ${why}`)
  display = setInterval(
    () => (live ? live(progress(run)) : say(progress(run).split('\n')[0] ?? '')),
    live ? 200 : 10_000,
  )
}

/** Writes the report; of a run that failed, also everything that was checked. */
async function keep(folder: string, result: Result): Promise<void> {
  await rm(report, { recursive: true, force: true })
  await mkdir(report, { recursive: true })
  await writeFile(
    join(report, 'report.json'),
    `${JSON.stringify({ options: { ...options, seed }, ...result }, null, 1)}\n`,
  )
  await writeFile(join(report, 'timeline.svg'), timeline(result))
  if (good(result)) return
  for (const name of ['journal.jsonl', 'redis.json', 'output', 'redis', 'logs'])
    await cp(join(folder, name), join(report, name), { recursive: true, verbatimSymlinks: true })
}

const kinds = options.faults ?? KINDS
try {
  const { consumers, producers, rate, appendfsync, every, packages, minutes } = options
  say(`chaos with seed ${seed}: ${consumers} consumers, ${producers} producers, faults for ${minutes} min`)
  const result = await chaos(
    { consumers, producers, rate, appendfsync, seed, kinds, every, packages, forMs: minutes * 60_000 },
    { enough: enough.signal, now: now.signal, watch, keep },
  )
  live?.clear()
  say(summary(result))
  say(`report and timeline in ${report}`)
  process.exitCode = good(result) ? 0 : 1
} catch (error) {
  process.stderr.write(`chaos: it could not be run to its end: ${(error as Error).message}\n`)
  process.exitCode = 3
} finally {
  clearInterval(display)
  live?.done()
}
// What waited for something of a world that is gone must not hold the process.
process.exit()
