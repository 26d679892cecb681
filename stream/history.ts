import { trace } from '@opentelemetry/api'
import { DETAIL } from './failure.ts'
import type { Outcome } from './outcome.ts'
import { isSampled } from './tracing.ts'

/** Something that happened to a package. `trace`: id of the trace that shows it. */
export type Transition = { readonly trace?: string } & Happening

/** Times are Unix ms. */
type Happening =
  | { event: 'appended'; at: number; entry: string }
  | { event: 'delivered'; at: number; consumer: string; entry: string; attempt: number }
  | { event: 'claimed'; at: number; consumer: string; from: string; entry: string }
  /** `due`: when it is to be tried again. */
  | {
      event: 'failed'
      at: number
      consumer: string
      entry: string
      attempt: number
      reason: string
      detail: string
      due: number
    }
  | { event: 'returned'; at: number; entry: string }
  | {
      event: 'dead'
      at: number
      consumer: string
      entry: string
      attempt?: number
      reason: string
      detail: string
    }
  | { event: 'replayed'; at: number; entry: string; letter: string; edited: boolean }
  | { event: 'purged'; at: number; letter: string }
  /**
   * Its line is the one that many lines (default 0) after the byte `offset` of the consumer's file; both are missing
   * when no file is written.
   */
  | {
      event: 'committed'
      at: number
      consumer: string
      entry: string
      attempt?: number
      offset?: number
      line?: number
    }

/**
 * A transition as the commit script notes it, JSON. Of a committed one the script adds where its line begins, which
 * is known only there.
 */
export function noteOf(outcome: Outcome, consumer: string): string {
  const at = Date.now()
  const { entry, kind, received, past } = outcome
  const span = outcome.trace && trace.getSpanContext(outcome.trace)
  const common = { at, consumer, entry, received, ...(isSampled(span) && { trace: span.traceId }) }
  switch (kind) {
    case 'skip':
      return ''
    case 'done':
      return JSON.stringify({ event: 'committed', ...common, attempt: past?.attempt })
    case 'retry': {
      const { delay, reason } = outcome
      const detail = outcome.detail.slice(0, DETAIL)
      const attempt = (past?.attempt ?? 2) - 1
      return JSON.stringify({
        event: 'failed',
        ...common,
        attempt,
        reason,
        detail,
        due: at + Math.ceil(delay),
      })
    }
    case 'dead': {
      const { reason } = outcome
      const detail = outcome.detail.slice(0, DETAIL)
      return JSON.stringify({ event: 'dead', ...common, attempt: past?.attempt, reason, detail })
    }
  }
}

/**
 * The done entries of a commit, in their order, as runs of entries that follow each other:
 * `<ms>-<seq>:<first package>:<how many>:<received, ms>`, separated by spaces. A run ends where the next entry is not
 * of the same millisecond and the next in sequence and package.
 */
export function runsOf(batch: readonly Outcome[]): string {
  const runs: string[] = []
  let start = ''
  let next = { ms: '', sequence: 0, package: 0, received: 0 }
  let count = 0
  for (const { kind, entry, package: number = 0, received = 0 } of batch) {
    if (kind !== 'done') continue
    const dash = entry.indexOf('-')
    const ms = entry.slice(0, dash)
    const sequence = Number(entry.slice(dash + 1))
    const follows =
      count > 0 &&
      ms === next.ms &&
      sequence === next.sequence &&
      number === next.package &&
      received === next.received
    if (!follows) {
      if (count > 0) runs.push(`${start}:${count}:${next.received}`)
      start = `${entry}:${number}`
      count = 0
    }
    count++
    next = { ms, sequence: sequence + 1, package: number + 1, received }
  }
  if (count > 0) runs.push(`${start}:${count}:${next.received}`)
  return runs.join(' ')
}
