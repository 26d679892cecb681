import type { StreamState } from '@conveyor/stream'
import pc from 'picocolors'

/** What a summary shows, of one instant. */
export interface Snapshot {
  readonly state: StreamState
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
  readonly redis: string
  readonly producer: string
  readonly notes: readonly string[]
  /** What is going on, when it is not just running. */
  readonly phase: string | undefined
}

const BAR = 30

/** The live summary, as lines for a terminal of `columns`. */
export function liveSummary(snapshot: Snapshot, columns = 80): string {
  const { state, packages, phase, notes } = snapshot
  const committed = state.done + state.dead
  const lines = [
    `${pc.bold('Conveyor')}  run ${state.epoch ?? '-'}  ${pc.dim(clock(snapshot.elapsed))}${phase ? `  ${pc.yellow(phase)}` : ''}`,
    pc.dim(`Redis ${snapshot.redis}   producer ${snapshot.producer}/status`),
    '',
    `  produced   ${padded(state.sequence)}  ${speed(snapshot.producedRate)}   stream length ${count(state.length)}`,
    `  committed  ${padded(committed)}  ${speed(snapshot.committedRate)}   lag ${count(state.lag)}   pending ${count(state.pending)}`,
    `  trims      ${padded(snapshot.trims.operations)}  ${pc.dim(`${count(snapshot.trims.removed)} entries removed`)}`,
  ]
  if (packages)
    lines.push(`  ${bar(committed / packages, BAR)} ${percent(committed / packages)} of ${count(packages)}`)
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
  const faults = `  dead letters ${state.dead}   claimed ${state.claimed}   fenced ${state.fenced}   waiting for the disk ${count(state.unflushed)} B`
  lines.push('', state.dead > 0 ? pc.yellow(faults) : pc.dim(faults))
  if (notes.length > 0) lines.push('', ...notes.map(note => pc.yellow(`  ${note}`.slice(0, columns))))
  lines.push('', pc.dim('  Ctrl-C: drain, validate and end'))
  return lines.join('\n')
}

/** The same in one line, for logs. */
export function plainSummary({
  state,
  elapsed,
  producedRate,
  committedRate,
  trims,
  packages,
  phase,
}: Snapshot): string {
  const committed = state.done + state.dead
  const shares = state.consumers.filter(({ done }) => done > 0).map(({ id, done }) => `${id}=${done}`)
  return [
    clock(elapsed),
    ...(phase ? [phase] : []),
    `produced=${state.sequence} (${Math.round(producedRate)}/s)`,
    `committed=${committed}${packages ? `/${packages} (${percent(committed / packages).trim()})` : ''} (${Math.round(committedRate)}/s)`,
    `lag=${state.lag}`,
    `pending=${state.pending}`,
    `stream=${state.length}`,
    `trims=${trims.operations}`,
    ...(state.dead > 0 ? [`dead=${state.dead}`] : []),
    ...shares,
  ].join(' ')
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

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function padded(value: number): string {
  return count(value).padStart(12)
}

function clock(seconds: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  return `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`
}
