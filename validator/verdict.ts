import type { Report } from './report.ts'

/** What is wrong, as phrases with their counts: `2 duplicate packages`. None when all is fine. */
export function issues(totals: Report['totals']): string[] {
  return [
    [totals.duplicates, 'duplicate package'] as const,
    [totals.missing, 'missing package'] as const,
    [totals.deadProcessed ?? 0, 'dead letter in a file', 'dead letters in a file'] as const,
    [totals.unexpected, 'unexpected package'] as const,
    [totals.unreadable, 'unreadable line'] as const,
    [totals.torn, 'torn last line'] as const,
    [totals.untracked, 'line not checked for duplicates', 'lines not checked for duplicates'] as const,
  ]
    .filter(([count]) => count > 0)
    .map(([count, one, many]) => plural(count, one, many))
}

/** `1 line`, `2 lines`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** The process exit code that a report stands for: 0 when all is fine, 1 when there are issues. */
export function exitCode(report: Pick<Report, 'verdict'>): 0 | 1 {
  return report.verdict === 'ok' ? 0 : 1
}
