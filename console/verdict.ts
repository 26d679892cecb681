import type { StreamState } from '@conveyor/stream'
import type { DuplicatePackage, TornLine, UnreadableLine } from '@conveyor/validator'
import type { Offender, Verdict } from './contract.ts'

/** What was found in the files, held against what Redis knows. Lists are in ascending order. */
export interface Found {
  readonly run: string
  readonly at: number
  /** Last package given out, as it was after the files were read. */
  readonly sequence: number
  readonly judgedTo: number
  readonly bytes: number
  /** Different packages in lines. */
  readonly unique: number
  readonly duplicated: number
  readonly duplicates: readonly DuplicatePackage[]
  readonly gaps: readonly number[]
  /** Packages in lines that were never given out. */
  readonly above: { readonly count: number; readonly lowest: number | undefined }
  readonly unreadable: number
  readonly firstUnreadable: UnreadableLine | TornLine | undefined
  /** Dead letters, and purged ones, that no line has; and those that one has. */
  readonly dead: number
  readonly purged: number
  readonly deadProcessed: readonly number[]
  readonly lost: number
}

/** A verdict by the files. */
export function verdictOf(found: Found): Verdict {
  const { sequence: produced, dead, purged, above } = found
  const committed = found.unique - above.count
  const gaps = found.gaps.length
  const waiting = Math.max(0, produced - committed - dead - purged - gaps)
  const offender = offenderIn(found)
  const counts = { produced, committed, waiting, dead, purged, gaps, duplicates: found.duplicated }
  return {
    state: offender ? 'violated' : 'exact',
    text: sentence(counts, offender === null),
    by: 'files',
    note: null,
    run: found.run,
    ...counts,
    unreadable: found.unreadable,
    unexpected: above.count,
    deadProcessed: found.deadProcessed.length,
    judgedTo: found.judgedTo,
    bytes: found.bytes,
    bytesLeft: 0,
    at: found.at,
    offender,
  }
}

/** A verdict by what Redis has counted, where there are no files. */
export function byCounts(state: StreamState, note: string): Verdict {
  const { sequence: produced, done: committed, dead: died, replayed, purged } = state
  const dead = died - replayed - purged
  const waiting = state.waiting + state.pending + state.lag
  // While something is undelivered, what came back is not told apart from what is new.
  const known = state.group && state.oldestUndelivered === undefined
  const lacking = known ? produced - committed - dead - purged - waiting : 0
  const gaps = Math.max(0, lacking)
  const counts = { produced, committed, waiting, dead, purged, gaps, duplicates: 0 }
  const text = `${n(gaps)} packages are neither committed nor on their way nor in the dead letters`
  return {
    ...nothing(note, state),
    state: gaps > 0 ? 'violated' : 'exact',
    text: sentence(counts, gaps === 0),
    ...counts,
    offender: gaps > 0 ? { kind: 'gap', package: null, text } : null,
  }
}

/** There is nothing to judge, or nothing to judge by. */
export function nothing(note: string, state?: StreamState): Verdict {
  const none = { produced: 0, committed: 0, waiting: 0, dead: 0, purged: 0, gaps: 0, duplicates: 0 }
  return {
    state: 'unknown',
    text: note,
    by: 'redis',
    note,
    run: state?.epoch ?? null,
    ...none,
    produced: state?.sequence ?? 0,
    unreadable: 0,
    unexpected: 0,
    deadProcessed: 0,
    judgedTo: 0,
    bytes: 0,
    bytesLeft: 0,
    at: state?.at ?? Date.now(),
    offender: null,
  }
}

type Counts = Pick<Verdict, 'produced' | 'committed' | 'waiting' | 'dead' | 'purged' | 'gaps' | 'duplicates'>

function sentence(counts: Counts, exact: boolean): string {
  const { produced, committed, waiting, dead, purged, gaps, duplicates } = counts
  const sum = [
    `committed ${n(committed)}`,
    `waiting ${n(waiting)}`,
    `dead ${n(dead)}`,
    ...(purged > 0 ? [`purged ${n(purged)}`] : []),
    ...(gaps > 0 ? [`missing ${n(gaps)}`] : []),
  ]
  return `${exact ? '' : 'not '}exactly once: produced ${n(produced)} = ${sum.join(' + ')}, gaps ${n(gaps)}, duplicates ${n(duplicates)}`
}

const n = (value: number) => value.toLocaleString('en-US')

/** The offence with the lowest package; a line that is none comes last. */
function offenderIn(found: Found): Offender | null {
  const { duplicates, gaps, above, deadProcessed, unreadable, firstUnreadable, lost } = found
  const offences: Offender[] = []
  const [gap] = gaps
  const [twice] = duplicates
  const [risen] = deadProcessed
  if (gap !== undefined) {
    const why = lost > 0 ? '; entries were deleted before they were settled' : ''
    offences.push({ kind: 'gap', package: gap, text: `package ${n(gap)} was given out and is nowhere${why}` })
  }
  if (twice) {
    const where = twice.consumers.map(({ id, times }) => `${id}${times > 1 ? ` (${times} times)` : ''}`)
    const text = `package ${n(twice.package)} stands in ${n(twice.times)} lines: of ${where.join(' and ')}`
    offences.push({ kind: 'duplicate', package: twice.package, text })
  }
  if (above.lowest !== undefined) {
    const text = `package ${n(above.lowest)} stands in a line and was never given out`
    offences.push({ kind: 'unexpected', package: above.lowest, text })
  }
  if (risen !== undefined) {
    const text = `package ${n(risen)} is a dead letter, or was purged, and stands in a line`
    offences.push({ kind: 'dead in a file', package: risen, text })
  }
  offences.sort((a, b) => (a.package ?? 0) - (b.package ?? 0))
  if (offences[0]) return offences[0]
  if (unreadable === 0) return null
  const where = firstUnreadable ? `${firstUnreadable.file} line ${n(firstUnreadable.line)}: ` : ''
  return {
    kind: 'unreadable',
    package: null,
    text: `${where}a line that is no package: ${firstUnreadable?.text ?? ''}`,
  }
}
