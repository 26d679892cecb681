import { readFile } from 'node:fs/promises'
import { root } from './versions.ts'

export interface DocumentedMetric {
  readonly name: string
  readonly type: string
  /** Services that report it. */
  readonly jobs: readonly string[]
  /** Label -> the values that are named; none where they are not. */
  readonly labels: ReadonlyMap<string, readonly string[]>
}

export interface DocumentedSpan {
  readonly name: string
  readonly kind: string
  readonly services: readonly string[]
}

const JOBS: Record<string, readonly string[]> = {
  'the producer': ['conveyor-producer'],
  'the consumer': ['conveyor-consumer'],
  'the consumer with `OUTPUT=postgres`': ['conveyor-consumer'],
  both: ['conveyor-producer', 'conveyor-consumer'],
}

/** The tables of docs/telemetry.md: what services send, as everybody may rely on it. */
export async function documented(): Promise<{ metrics: DocumentedMetric[]; spans: DocumentedSpan[] }> {
  const text = await readFile(new URL('docs/telemetry.md', root), 'utf8')
  const metrics: DocumentedMetric[] = []
  const spans: DocumentedSpan[] = []
  let jobs: readonly string[] = []
  let common: (readonly [string, readonly string[]])[] = []
  let table = ''
  for (const line of text.split('\n')) {
    const by = /[Rr]eported by ([^,:;]+)/.exec(line)?.[1]
    if (by !== undefined) {
      jobs = JOBS[by] ?? [] // others are no part of the stack that is looked at
      common = [...labelsOf(/, with (.*?)[:;]/.exec(line)?.[1] ?? '')]
    }
    if (!line.startsWith('|')) {
      table = ''
      continue
    }
    const cells = line
      .split('|')
      .map(cell => cell.trim())
      .slice(1, -1)
    const [first = '', second = '', third = ''] = cells
    if (table === '') table = first
    else if (table === 'metric' && first.startsWith('`')) {
      for (const [, name = ''] of first.matchAll(/`(\w+)`/g))
        metrics.push({ name, type: second, jobs, labels: new Map([...common, ...labelsOf(third)]) })
    } else if (table === 'span' && first.startsWith('`')) {
      const services = third.split(', ').map(service => `conveyor-${service}`)
      spans.push({ name: first.replaceAll('`', ''), kind: second, services })
    }
  }
  return { metrics, spans }
}

/** `a` (`x`, `y`), `b` */
function labelsOf(cell: string): Map<string, string[]> {
  const labels = [...cell.matchAll(/`(\w+)`(?: \(([^)]*)\))?/g)]
  return new Map(
    labels.map(([, label = '', values = '']) => [
      label,
      [...values.matchAll(/`(\w+)`/g)].map(([, value = '']) => value),
    ]),
  )
}

/** The series that a metric of this type has. */
export function seriesOf({ name, type }: DocumentedMetric): string[] {
  return type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name]
}
