import { stripVTControlCharacters } from 'node:util'
import { bytes, count, duration, perSecond } from '@conveyor/doctor'
import { createLogUpdate } from 'log-update'
import { type Colors, colorsOf, plain } from '../colors.ts'
import { print } from '../print.ts'
import type { Balance, Report, Seen, Unseen } from './report.ts'
import { consumerTable } from './table.ts'

export interface MonitorView {
  show(report: Report): void
  /** Leaves the last one standing. */
  end(): void
}

/** Redrawn in place in a terminal, a line a report elsewhere, JSON when it is asked for. */
export function createMonitorView(json: boolean, out: NodeJS.WriteStream): MonitorView {
  if (json) return lineView(out, report => `${JSON.stringify(report)}\n`)
  // A terminal that does not know its size cannot be drawn in.
  return out.isTTY && out.rows > 0 ? liveView(out) : lineView(out, plainReports())
}

/** Prints one report whole. */
export function printReport(report: Report, json: boolean, out: NodeJS.WriteStream): Promise<boolean> {
  const text = json
    ? JSON.stringify(report, null, 2)
    : formatReport(report, {
        width: out.columns || 120,
        rows: Number.POSITIVE_INFINITY,
        color: colorsOf(out),
      })
  return print(out, `${text}\n`)
}

function lineView(out: NodeJS.WriteStream, format: (report: Report) => string): MonitorView {
  return { show: report => void out.write(format(report)), end: () => {} }
}

/** Lines that are not rows of consumers, at most; what is above the terminal's height would be cut off. */
const OTHER_LINES = 16

function liveView(out: NodeJS.WriteStream): MonitorView {
  const draw = createLogUpdate(out)
  const color = colorsOf(out)
  let last: Seen | undefined
  return {
    show(report) {
      const width = out.columns || 80
      const rows = Math.max(3, (out.rows ?? 24) - OTHER_LINES)
      const away =
        report.status === 'unreachable' && last
          ? [color.dim(formatReport(last, { width, rows, color: plain })), '']
          : []
      if ('consumers' in report) last = report
      draw([...away, formatReport(report, { width, rows, color }), '', color.dim('Ctrl-C ends')].join('\n'))
    },
    end: () => draw.done(),
  }
}

/** Why there is nothing to show. */
function unseenIn({ status, redis, stream }: Unseen): string {
  if (status === 'unreachable') return `Redis at ${redis} does not answer`
  return `there is no stream ${stream} at ${redis} yet: \`conveyor up\` or a producer begins it`
}

/** A line a report; that there is nothing to show is said once. */
function plainReports(): (report: Report) => string {
  let said: string | undefined
  return report => {
    const repeats = report.status === said
    said = 'consumers' in report ? undefined : report.status
    return repeats ? '' : `${plainReport(report)}\n`
  }
}

/** The same in one line, for logs. */
export function plainReport(report: Report): string {
  const time = report.at.slice(11, 19)
  if (!('consumers' in report)) return `${time} ${unseenIn(report)}`
  const { balance, lag, retries, deadLetters } = report
  const here = report.consumers.filter(({ state }) => state !== 'gone')
  const states = [...new Set(here.map(({ state }) => state))]
  return [
    time,
    ...(report.status === 'no-group' ? [`no-group=${report.group}`] : []),
    `in=${perSecond(report.in)}`,
    `out=${perSecond(report.out)}`,
    `given-out=${balance.givenOut}`,
    `committed=${balance.committed}`,
    `lag=${lag.packages}`,
    `lag-seconds=${lag.seconds}`,
    `pending=${report.pending}`,
    `waiting=${retries.waiting}`,
    `dead-letters=${sum(deadLetters.reasons)}`,
    `length=${report.length}`,
    ...(balance.unaccounted ? [`unaccounted=${balance.unaccounted}`] : []),
    ...states.map(
      state => `${state}=${here.flatMap(one => (one.state === state ? [one.id] : [])).join(',')}`,
    ),
  ].join(' ')
}

interface Shape {
  readonly width: number
  /** Consumers at most. */
  readonly rows: number
  readonly color: Colors
}

/** A report for people, no line longer than `width`. */
export function formatReport(report: Report, { width, rows, color }: Shape): string {
  if (!('consumers' in report)) return wrapped([color.yellow(unseenIn(report))], width, 0)
  const { at, stream, group, run, redis } = report
  const title = [`${color.bold(stream)} / ${color.bold(group)}`, `run ${run}`, color.dim(at.slice(11, 19))]
  return [
    wrapped(title, width, 0),
    wrapped([color.dim(redis)], width, 0),
    ...problems(report).map(problem => wrapped([color.red(problem)], width, 0)),
    '',
    ...facts(report, color).map(([label, parts]) => field(label, parts, width, color)),
    '',
    consumerTable(report.consumers, { width, rows, color }),
  ].join('\n')
}

function problems({ missingGroups, status, group }: Seen): string[] {
  return [
    ...missingGroups.map(
      name => `group ${name} was destroyed: nothing is appended or trimmed (\`conveyor doctor\` says more)`,
    ),
    ...(status === 'no-group' && !missingGroups.includes(group) ? [`there is no group ${group}`] : []),
  ]
}

function facts(report: Seen, color: Colors): [label: string, parts: string[]][] {
  const { lag, retries, deadLetters, memory, first, floor, balance, claimed, fenced, lost, unflushed } =
    report
  const letters = Object.entries(deadLetters.reasons)
  const alarming = (text: string, alarm: boolean) => (alarm ? color.yellow(text) : text)
  return [
    ['rate', [`in ${perSecond(report.in)}`, `out ${perSecond(report.out)}`]],
    ['lag', [`${count(lag.packages)} packages`, duration(lag.seconds), `pending ${count(report.pending)}`]],
    [
      'stream',
      [
        `${count(report.length)} entries`,
        ...(memory === null ? [] : [bytes(memory)]),
        ...(first ? [`oldest ${duration(first.age)}`] : []),
      ],
    ],
    [
      'trim floor',
      floor
        ? [floor.entry, `${duration(floor.age)} old`, `for group ${floor.group}`]
        : ['none: nothing is needed any more'],
    ],
    [
      'retries',
      retries.nextDue === null
        ? ['none wait']
        : [
            `${count(retries.waiting)} waiting`,
            alarming(
              retries.nextDue >= 0
                ? `next in ${duration(retries.nextDue)}`
                : `${duration(-retries.nextDue)} late`,
              retries.nextDue < -1,
            ),
          ],
    ],
    [
      'dead',
      letters.length === 0
        ? ['no letters']
        : letters.map(([reason, n]) => color.yellow(`${count(n)} ${reason}`)),
    ],
    ['balance', balanceIn(balance, color)],
    [
      'faults',
      [`claimed ${count(claimed)}`, `fenced ${count(fenced)}`, alarming(`lost ${count(lost)}`, lost > 0)],
    ],
    ['not on disk', [bytes(unflushed)]],
  ]
}

function balanceIn(balance: Balance, color: Colors): string[] {
  const { givenOut, committed, deadLetters, purged, waiting, pending, undelivered, unaccounted } = balance
  const parts: [number, string][] = [
    [deadLetters, 'dead'],
    [purged, 'purged'],
    [waiting, 'waiting'],
    [pending, 'pending'],
    [undelivered, 'undelivered'],
  ]
  const sums = parts.filter(([n]) => n !== 0).map(([n, name]) => `+ ${count(n)} ${name}`)
  return [
    `${count(givenOut)} given out`,
    `= ${count(committed)} committed`,
    ...sums,
    ...(unaccounted ? [color.red(`+ ${count(unaccounted)} unaccounted for`)] : []),
  ]
}

const LABEL = 13

function field(label: string, parts: readonly string[], width: number, color: Colors): string {
  return `${color.dim(label.padEnd(LABEL))}${wrapped(parts, width, LABEL)}`
}

/** Parts beside each other, on further lines where there is no room, all `indent` columns from the left. */
function wrapped(parts: readonly string[], width: number, indent: number): string {
  const lines: string[] = []
  let used = 0
  for (const part of parts) {
    const length = stripVTControlCharacters(part).length
    if (lines.length === 0 || indent + used + 2 + length > width) {
      lines.push(part)
      used = length
    } else {
      lines[lines.length - 1] += `  ${part}`
      used += 2 + length
    }
  }
  return lines.join(`\n${' '.repeat(indent)}`)
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, n) => total + n, 0)
}
