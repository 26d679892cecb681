import { spread } from './statistics.ts'

/** What a part has found, for people; the first column names the row. */
export interface Table {
  /** Names the table among others, in docs/performance.md too. */
  readonly id: string
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Sentences below it: settings, and what was left out. */
  readonly notes?: readonly string[]
  /** The same for programs, unrounded. */
  readonly figures: unknown
}

/** For a terminal. */
export function asText({ title, head, rows, notes = [] }: Table): string {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map(row => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)))
      .join('  ')
  return [`\n${title}`, line(head), ...rows.map(line), ...notes].join('\n  ').replace(/ +$/gm, '')
}

export function asMarkdown({ head, rows, notes = [] }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const table = [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
  return [table, ...notes].join('\n\n')
}

/** What was measured of one contender, a figure a round. */
export interface Measured {
  readonly name: string
  readonly values: readonly number[]
}

/** The values of `a` in units of those of `b` in the same round. */
export function ratios(a: Measured, b: Measured): number[] {
  return a.values.map((value, round) => value / (b.values[round] as number))
}

/** Messages per second and ratios to the first row, and to further ones: how many times as fast those are. */
export function rateTable(
  { id, title, notes }: { id: string; title: string; notes?: readonly string[] },
  all: readonly Measured[],
  rivals: readonly Measured[] = [],
): Table {
  const [base] = all as [Measured]
  return {
    id,
    title,
    head: ['', 'messages per second', 'ratio', ...rivals.map(({ name }) => `${name} is faster by`)],
    rows: all.map(measured => [
      measured.name,
      spread([...measured.values]),
      measured === base ? '1' : spread(ratios(measured, base), 2),
      ...rivals.map(rival => (rival === measured ? '' : spread(ratios(rival, measured), 1))),
    ]),
    ...(notes && { notes }),
    figures: all.map(({ name, values }) => ({ name, perSecond: values.map(Math.round) })),
  }
}
