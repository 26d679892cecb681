import { printable } from './printable.ts'
import type { ConsumerSummary, DeadPackages, DuplicatePackage, MissingRange, Report } from './report.ts'
import { issues, plural } from './verdict.ts'

const RULE = '='.repeat(70)
/** Entries of each list that are shown without `verbose`. */
const SHOWN = 20

/** How to print a report. */
export interface FormatOptions {
  /** All entries that the report holds; else the first 20 of each list. */
  verbose: boolean
  /** Colour the verdict, for a terminal. Default false. */
  color?: boolean | undefined
}

/** The report as text, a newline at its end. Nothing from the files reaches a terminal unescaped. */
export function formatReport(report: Report, { verbose, color = false }: FormatOptions): string {
  const { totals } = report
  const list = <T>(entries: readonly T[], total: number, toLine: (entry: T) => string): string[] => {
    const shown = verbose ? entries : entries.slice(0, SHOWN)
    const lines = shown.map(toLine)
    const hint = shown.length < entries.length ? ` (--verbose shows ${entries.length})` : ''
    return shown.length < total ? [...lines, `... and ${total - shown.length} more${hint}`] : lines
  }
  return [
    RULE,
    'CONVEYOR VALIDATION REPORT',
    RULE,
    ...section('SUMMARY STATISTICS', summaryLines(report)),
    ...section('CONSUMER BREAKDOWN', list(report.consumers, totals.files, consumerLine(report.consumers))),
    ...section('DUPLICATE PACKAGES', list(report.duplicates, totals.duplicates, duplicateLine)),
    ...section('MISSING PACKAGES', list(report.missing, totals.missingRanges, missingLine)),
    ...section('DEAD LETTERS', (report.dead ?? []).map(deadLine(verbose))),
    ...section(
      'DEAD LETTERS IN A FILE',
      list(report.deadProcessed ?? [], totals.deadProcessed ?? 0, n => `Package ${n}`),
    ),
    ...section(
      'UNEXPECTED PACKAGES',
      list(report.unexpected, totals.unexpected, at => `Package ${at.package}: ${at.file}, line ${at.line}`),
    ),
    ...section('UNREADABLE LINES', [
      ...Object.entries(report.unreadableKinds).map(([kind, count]) => `${kind}: ${plural(count, 'line')}`),
      ...list(
        report.unreadable,
        totals.unreadable,
        ({ file, line, kind, text }) => `${file}, line ${line}: ${kind}: "${text}"`,
      ),
    ]),
    ...section(
      'TORN LAST LINES',
      list(
        report.torn,
        totals.torn,
        ({ file, line, text }) => `${file}, line ${line}: no newline: "${text}"`,
      ),
    ),
    '',
    RULE,
    color ? `\x1b[${report.verdict === 'ok' ? 32 : 31}m${verdictLine(report)}\x1b[39m` : verdictLine(report),
    RULE,
    '',
  ].join('\n')
}

/** A titled block, or nothing when there is nothing in it. */
function section(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : ['', title, '-'.repeat(title.length), ...lines.map(line => `  ${line}`)]
}

function summaryLines({ outputDir, expect, totals, range }: Report): string[] {
  const rows: [string, string | number][] = [
    ['Directory', printable(outputDir)],
    ['Files', `${totals.files} (${totals.bytes} bytes)`],
    ['Total processed', totals.processed],
    ['Unique packages', totals.unique],
    ['Duplicate packages', totals.duplicates],
    ...(totals.dead === undefined ? [] : [['Dead letters', totals.dead] as [string, number]]),
    ['Missing packages', totals.missing],
    ['Unreadable lines', totals.unreadable],
    ['Torn last lines', totals.torn],
    ['Package range', range === null ? 'none' : `${range.first} to ${range.last}`],
  ]
  if (expect !== null) {
    rows.push(
      ['Expected range', expect === 0 ? 'none' : `1 to ${expect}`],
      ['Unexpected packages', totals.unexpected],
    )
  }
  if (totals.untracked > 0) rows.push(['Not checked for duplicates', plural(totals.untracked, 'line')])
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${`${name}:`.padEnd(width + 1)} ${value}`)
}

function consumerLine(consumers: ConsumerSummary[]) {
  const width = consumers.reduce((most, { id }) => Math.max(most, id.length), 0)
  return ({ id, count, share, first, last }: ConsumerSummary) => {
    const packages = `${id.padEnd(width)}  ${plural(count, 'package')} (${(share * 100).toFixed(1)}%)`
    return first === null ? packages : `${packages}, ${first} to ${last}`
  }
}

function duplicateLine({ package: n, times, consumers, moreConsumers }: DuplicatePackage): string {
  const names = consumers.map(consumer => `${consumer.id}: ${consumer.times}`)
  if (moreConsumers > 0) names.push(`and ${moreConsumers} more`)
  return `Package ${n}: processed ${times} times by consumers [${names.join(', ')}]`
}

function missingLine({ from, to }: MissingRange): string {
  return from === to ? `Package ${from}` : `Packages ${from} to ${to} (${to - from + 1})`
}

function deadLine(verbose: boolean) {
  return ({ reason, count, packages }: DeadPackages) => {
    const shown = verbose ? packages : packages.slice(0, SHOWN)
    const more = shown.length < count ? `, and ${count - shown.length} more` : ''
    return `${printable(reason)}: ${plural(count, 'package')}: ${shown.join(', ')}${more}`
  }
}

function verdictLine(report: Report): string {
  if (report.verdict === 'issues') return `ISSUES DETECTED: ${issues(report.totals).join(', ')}`
  const { dead = 0, unique, processed } = report.totals
  if (dead === 0 && processed === 0) return 'NO ISSUES DETECTED: No packages expected and none processed'
  if (dead === 0) return 'NO ISSUES DETECTED: All packages processed exactly once'
  return `NO ISSUES DETECTED: ${plural(unique, 'package')} processed exactly once, ${dead} in the dead letters`
}
