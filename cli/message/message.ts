import { EXIT } from '@conveyor/service'
import {
  inspect,
  type PackageReport,
  packageOfEntry,
  packageReport,
  type StreamState,
  type Transition,
  transitionText,
} from '@conveyor/stream'
import { printable } from '@conveyor/validator'
import pc from 'picocolors'
import { type Target, withRedis } from '../options.ts'

export interface MessageOptions extends Target {
  readonly outputDir: string
  readonly jaegerUrl: string
  readonly json: boolean
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
    const report = await packageReport(redis, keys, number, options)
    out.write(options.json ? `${JSON.stringify(report)}\n` : format(report, await inspect(redis, keys)))
    return report.state === 'not given out' || report.state === 'not found' ? EXIT.failed : EXIT.ok
  })
}

function format(report: PackageReport, { sequence }: StreamState): string {
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

function stateOf({ state, place, line }: PackageReport): string {
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
  return `${time} ${after.padStart(9)}  ${transition.event.padEnd(9)}  ${printable(transitionText(transition))}`
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
