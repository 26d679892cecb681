import type { StreamState } from '@conveyor/stream'
import pc from 'picocolors'

/** What a summary shows, of one instant. */
export interface Snapshot {
  readonly state: StreamState
  /** The stage before it, if there is one. */
  readonly first?: { readonly stream: string; readonly state: StreamState }
  /** Seconds since the start. */
  readonly elapsed: number
  /** Packages per second, over the last few seconds. */
  readonly producedRate: number
  readonly committedRate: number
  /** Trims by this run's producer, and entries that they removed. */
  readonly trims: { operations: number; removed: number }
  /** Last package that was asked for, if any. */
  readonly packages: number | undefined
  /** Names of the consumers that were started here and run. */
  readonly running: ReadonlySet<string>
  /** Which Redis, and what else is used. */
  readonly places: readonly string[]
  readonly producer: string
  /** URL of the page. */
  readonly console: string
  readonly notes: readonly string[]
  /** What is going on, when it is not just running. */
  readonly phase: string | undefined
}

const BAR = 30

/** The live summary, as lines for a terminal of `columns`. */
export function liveSummary(snapshot: Snapshot, columns = 80): string {
  const { state, first, packages, phase, notes } = snapshot
  const lines = [
    `${pc.bold('Conveyor')}  run ${state.epoch ?? '-'}  ${pc.dim(clock(snapshot.elapsed))}${phase ? `  ${pc.yellow(phase)}` : ''}`,
    `console ${pc.bold(snapshot.console)}   ${pc.dim('shows it, and lets you try to break it')}`,
    ...snapshot.places.map(place => pc.dim(place)),
    pc.dim(`producer ${snapshot.producer}/status`),
    '',
    ...(first ? [stage(first), ''] : []),
    `  produced   ${padded(state.sequence)}  ${speed(snapshot.producedRate)}   stream length ${count(state.length)}`,
    `  committed  ${padded(state.done)}  ${speed(snapshot.committedRate)}   lag ${count(state.lag)}   pending ${count(state.pending)}`,
    `  trims      ${padded(snapshot.trims.operations)}  ${pc.dim(`${count(snapshot.trims.removed)} entries removed`)}`,
  ]
  if (packages) {
    const part = settled((first ?? snapshot).state) / packages
    lines.push(`  ${bar(part, BAR)} ${percent(part)} of ${count(packages)}`)
  }
  lines.push('', pc.dim('  consumer    state     packages    share'))
  for (const consumer of state.consumers) {
    const share = state.done > 0 ? consumer.done / state.done : 0
    const live = snapshot.running.has(consumer.id) || consumer.session === 'live'
    if (!live && consumer.done === 0) continue
    const name = consumer.id.padEnd(10)
    const condition = live ? pc.green('live'.padEnd(8)) : pc.dim('gone'.padEnd(8))
    lines.push(
      `  ${name}  ${condition}${padded(consumer.done)}  ${percent(share)}  ${pc.cyan('█'.repeat(Math.round(share * BAR)))}`,
    )
  }
  lines.push('')
  if (state.retried > 0)
    lines.push(pc.yellow(`  retries ${count(state.retried)}   ${waiting(state) || 'none waiting'}`))
  const dead = letters(state)
  const faults = `  dead letters ${count(dead)}   claimed ${state.claimed}   fenced ${state.fenced}   waiting for the disk ${count(state.unflushed)} B`
  lines.push(dead > 0 ? pc.yellow(faults) : pc.dim(faults))
  if (dead > 0) lines.push(pc.yellow(`  ${reasons(state)}`.slice(0, columns)))
  if (notes.length > 0) lines.push('', ...notes.map(note => pc.yellow(`  ${note}`.slice(0, columns))))
  const draining = phase?.startsWith('draining')
  lines.push(
    '',
    pc.dim(`  Ctrl-C: ${draining ? 'end at once, without a verdict' : 'drain, validate and end'}`),
  )
  return lines.join('\n')
}

/** A stage that is not the last, in a line. */
function stage({ stream, state }: NonNullable<Snapshot['first']>): string {
  const { sequence, done, lag, pending } = state
  return `  ${stream}  ${count(sequence)} in   ${count(done)} processed   ${count(letters(state))} dead letters   lag ${count(lag)}   pending ${count(pending)}`
}

/** The same in one line, for logs. */
export function plainSummary({
  first,
  state,
  elapsed,
  producedRate,
  committedRate,
  trims,
  packages,
  phase,
}: Snapshot): string {
  const part = packages && percent(settled(first?.state ?? state) / packages).trim()
  const shares = state.consumers.filter(({ done }) => done > 0).map(({ id, done }) => `${id}=${done}`)
  return [
    clock(elapsed),
    ...(phase ? [phase] : []),
    ...(first
      ? [
          `${first.stream}=${first.state.sequence}`,
          `processed=${first.state.done}`,
          `dead=${letters(first.state)}`,
        ]
      : []),
    `produced=${state.sequence} (${Math.round(producedRate)}/s)`,
    `committed=${state.done}${packages ? `/${packages} (${part})` : ''} (${Math.round(committedRate)}/s)`,
    `lag=${state.lag}`,
    `pending=${state.pending}`,
    `stream=${state.length}`,
    `trims=${trims.operations}`,
    ...(state.waiting > 0 ? [`waiting=${state.waiting}`] : []),
    ...(letters(state) > 0 ? [`dead=${letters(state)}`] : []),
    ...shares,
  ].join(' ')
}

/** Packages that are in a file or in the dead letters. A replayed one died before it was given out again. */
export function settled({ done, dead, replayed }: StreamState): number {
  return done + dead - replayed
}

/** `12 waiting, next in 3.0 s`; '' when none waits. */
export function waiting({ waiting, nextDue = 0 }: StreamState): string {
  if (waiting === 0) return ''
  return `${count(waiting)} waiting, next in ${span(Math.max(0, nextDue) / 1000)}`
}

/** Dead letters that there are now. */
function letters(state: StreamState): number {
  return Object.values(state.letters).reduce((sum, letters) => sum + letters, 0)
}

/** The same by reason, the most frequent first. */
function reasons(state: StreamState): string {
  const all = Object.entries(state.letters).sort(([, a], [, b]) => b - a)
  return all.map(([reason, letters]) => `${reason}: ${count(letters)}`).join('   ')
}

/** A span of time: `0.4 s`, `12 s`, `01:02:03`. */
function span(seconds: number): string {
  if (seconds >= 60) return clock(seconds)
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
}

function bar(part: number, width: number): string {
  const full = Math.min(width, Math.floor(part * width))
  return `${pc.green('█'.repeat(full))}${pc.dim('░'.repeat(width - full))}`
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1).padStart(5)} %`
}

function speed(rate: number): string {
  return `${count(rate < 100 ? Math.round(rate * 10) / 10 : Math.round(rate)).padStart(9)}/s`
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

function padded(value: number): string {
  return count(value).padStart(12)
}

function clock(seconds: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  return `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`
}
