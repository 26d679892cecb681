import { join } from 'node:path'
import { EXIT } from '@conveyor/service'
import {
  inspect,
  type Keys,
  locate,
  type Place,
  packageHistory,
  packageOfEntry,
  type StreamState,
  type Transition,
} from '@conveyor/stream'
import { printable } from '@conveyor/validator'
import type { Redis } from 'ioredis'
import pc from 'picocolors'
import { type Target, withRedis } from '../options.ts'
import { findLine, type Line, lineAt } from './find-line.ts'

export interface MessageOptions extends Target {
  readonly outputDir: string
  readonly jaegerUrl: string
  readonly json: boolean
}

/** What `--json` prints. Times are Unix ms. */
export interface MessageReport {
  readonly package: number
  /** The run that it belongs to. */
  readonly run: string
  /**
   * `committed`, `undelivered`, `pending`, `waiting`, `dead`; `not found`: it was given out, and is neither on its way
   * nor in the files; `not given out`.
   */
  readonly state: 'committed' | Place['at'] | 'not found' | 'not given out'
  /** Its line, once committed. */
  readonly line?: Line
  /** Where it is, before that. */
  readonly place?: Place
  /** Oldest first; empty when nothing is kept about it. */
  readonly history: Transition[]
  /** Where the trace is shown, if there is one. */
  readonly trace?: string
}

/** Prints where a package is and what happened to it. Returns the exit code: 1 when there is no such package. */
export function showMessage(
  which: string,
  options: MessageOptions,
  out: { write(text: string): unknown },
): Promise<number> {
  return withRedis(options, async (redis, keys) => {
    const number = which.includes('-') ? await packageOfEntry(redis, keys, which) : Number(which)
    if (number === undefined) {
      process.stderr.write(
        `entry ${which}: neither the stream nor its history knows it; ask for the package by its number\n`,
      )
      return EXIT.failed
    }
    const report = await reportOf(redis, keys, number, options)
    out.write(options.json ? `${JSON.stringify(report)}\n` : format(report, await inspect(redis, keys)))
    return report.state === 'not given out' || report.state === 'not found' ? EXIT.failed : EXIT.ok
  })
}

async function reportOf(
  redis: Redis,
  keys: Keys,
  number: number,
  { outputDir, jaegerUrl }: MessageOptions,
): Promise<MessageReport> {
  const { sequence, epoch } = await inspect(redis, keys)
  const common = { package: number, run: epoch ?? '' }
  if (number > sequence) return { ...common, state: 'not given out', history: [] }
  const history = await packageHistory(redis, keys, number)
  const traceId = history.findLast(transition => transition.trace)?.trace
  const trace = traceId && { trace: `${jaegerUrl.replace(/\/$/, '')}/trace/${traceId}` }
  const place = await locate(redis, keys, number)
  if (place) return { ...common, state: place.at, place, history, ...trace }
  const line = await committedLine(join(outputDir, 'runs', epoch ?? ''), number, history)
  return { ...common, state: line ? 'committed' : 'not found', ...(line && { line }), history, ...trace }
}

/** Its line: where history says, or else wherever it is in the files of the run. */
async function committedLine(
  folder: string,
  number: number,
  history: Transition[],
): Promise<Line | undefined> {
  const last = history.findLast(({ event }) => event === 'committed')
  if (last?.event === 'committed' && last.offset !== undefined) {
    const found = await lineAt(join(folder, `consumer_${last.consumer}.txt`), last.offset, last.line ?? 0)
    if (found) return found
  }
  return findLine(folder, number)
}

function format(report: MessageReport, { sequence }: StreamState): string {
  const { package: number, run, history, trace } = report
  const title = `package ${number.toLocaleString('en-US')}`
  if (report.state === 'not given out')
    return `${title}: not given out; the last number of run ${run || '(there is none yet)'} is ${sequence}\n`
  const lines = [`${pc.bold(title)} of run ${run}: ${stateOf(report)}`]
  if (report.line) lines.push(`  ${printable(report.line.text)}`)
  if (trace) lines.push(`  ${trace}`)
  lines.push('')
  const [first] = history
  if (first) for (const transition of history) lines.push(`  ${row(transition, first.at)}`)
  else lines.push('  Nothing went wrong with it of late, or nothing is kept (HISTORY=all keeps everything).')
  return `${lines.join('\n')}\n`
}

function stateOf({ state, place, line }: MessageReport): string {
  if (line) return `${pc.green('committed')}, ${line.file} line ${line.number}`
  switch (place?.at) {
    case 'undelivered':
      return `in the stream as ${place.entry}, not yet delivered`
    case 'pending':
      return `with consumer ${place.consumer} as ${place.entry}${place.deliveries > 1 ? `, delivered ${place.deliveries} times` : ''}`
    case 'waiting':
      return `${pc.yellow('waits for another attempt')}, due ${place.dueIn > 0 ? `in ${seconds(place.dueIn)}` : 'now'}`
    case 'dead':
      return `${pc.red('dead letter')} ${place.letter} (conveyor dlq show ${place.letter})`
    default:
      return `${pc.red(state)}: it was given out, and is neither on its way nor in the files`
  }
}

function row(transition: Transition, from: number): string {
  const time = new Date(transition.at).toISOString().replace('T', ' ').replace('Z', '')
  const after = transition.at === from ? '' : `+${seconds(transition.at - from)}`
  return `${time} ${after.padStart(9)}  ${transition.event.padEnd(9)}  ${printable(detailOf(transition))}`
}

function detailOf(transition: Transition): string {
  switch (transition.event) {
    case 'appended':
    case 'returned':
      return `as ${transition.entry}`
    case 'delivered':
      return `to ${transition.consumer}, attempt ${transition.attempt}`
    case 'claimed':
      return `by ${transition.consumer} from ${transition.from}`
    case 'failed': {
      const { consumer, attempt, reason, detail, due, at } = transition
      return `with ${consumer}, attempt ${attempt}, ${reason}: ${detail} (again in ${seconds(due - at)})`
    }
    case 'dead':
      return `with ${transition.consumer}, ${transition.reason}: ${transition.detail}`
    case 'replayed':
      return `from dead letter ${transition.letter}${transition.edited ? ', edited' : ''}, as ${transition.entry}`
    case 'purged':
      return `dead letter ${transition.letter}`
    case 'committed':
      return `by ${transition.consumer}`
  }
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
