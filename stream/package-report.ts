import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { findLine, type Line, lineAt } from './find-line.ts'
import type { Transition } from './history.ts'
import { inspect } from './inspect.ts'
import type { Keys } from './keys.ts'
import { locate, type Place } from './locate.ts'
import { packageHistory } from './package-history.ts'

/** Where a package is and what happened to it; what `conveyor message --json` prints. Times are Unix ms. */
export interface PackageReport {
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

/**
 * Looks for a package everywhere. It looks through everything, so it is for people and not for services.
 *
 * @param options.outputDir directory of the output files
 * @param options.jaegerUrl where traces are shown
 */
export async function packageReport(
  redis: Redis,
  keys: Keys,
  number: number,
  { outputDir, jaegerUrl }: { readonly outputDir: string; readonly jaegerUrl: string },
): Promise<PackageReport> {
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

/** What a transition was, one line without its name and time. What was thrown is in it as it is. */
export function transitionText(transition: Transition): string {
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

/** `340 ms`, `2.5 s` */
function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
