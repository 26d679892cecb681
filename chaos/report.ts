import { quantile } from './recovery.ts'
import type { Happened, Result, Run } from './run.ts'
import { KINDS } from './schedule.ts'

const number = (value: number) => value.toLocaleString('en-US')

export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** How many faults of each kind, the most frequent first. */
export function perKind(faults: readonly Happened[]): string {
  return KINDS.map(kind => ({ kind, count: faults.filter(fault => fault.kind === kind).length }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)
    .map(({ kind, count }) => `${kind} ${count}`)
    .join(', ')
}

/** What goes on, in a few lines. */
export function progress(run: Run): string {
  const { state, faults, phase, elapsed } = run
  const going = faults.filter(({ to }) => to === undefined).map(({ kind, target }) => `${kind} ${target}`)
  const behind = state ? state.lag + state.pending + state.waiting : 0
  return [
    `${duration(elapsed)}   ${phase}   ${number(faults.length)} faults   ${number(state?.sequence ?? 0)} packages, ${number(behind)} behind`,
    ...(phase === 'faults' ? [`now: ${going.join(', ') || 'nothing'}`] : []),
  ].join('\n')
}

/** The verdict and what led to it. */
export function summary({ seed, ms, faults, verdict, recoveries, events, strange }: Result): string {
  const { lost, duplicated, corrupt, unexpected, toldTwice, unsettled } = verdict
  const examples = [lost, duplicated, corrupt, unexpected, toldTwice, unsettled].flatMap(
    found => found.examples,
  )
  const sum = `${number(verdict.committed)} in files + ${number(verdict.dead)} dead letters + ${number(verdict.waiting)} waiting`
  const rows: [string, string][] = [
    ['faults', `${number(faults.length)} in ${duration(ms)}, seed ${seed}: ${perKind(faults)}`],
    [
      'asked for',
      `${number(verdict.attempted)} packages, ${number(verdict.acknowledged)} acknowledged, ${number(verdict.recovered)} appended although the reply was lost`,
    ],
    ['given out', `${number(verdict.produced)} ${verdict.balanced ? '=' : 'IS NOT'} ${sum}`],
    [
      'lost',
      `${number(lost.count)} (at the start ${lost.start}, in the middle ${lost.middle}, at the end ${lost.end})`,
    ],
    ['duplicated', number(duplicated.count)],
    ['corrupt', number(corrupt.count)],
    ['unexpected', number(unexpected.count)],
    ['told twice', number(toldTwice.count)],
    ['unsettled', number(unsettled.count)],
    [
      'meanwhile',
      `${number(events.processes)} processes, ${number(events.sessions)} sessions, ${number(events.retries)} retries, ${number(events.replays)} replays, ${number(events.claimed)} entries taken over, ${number(events.fenced)} outcomes fenced`,
    ],
    ['recovery', recovery(recoveries)],
  ]
  return [
    ...rows.map(([name, text]) => `${name.padEnd(12)}${text}`),
    ...examples.map(text => `  ${text}`),
    ...strange.map(text => `UNEXPECTED END OR FAULT\n${text}`),
    good({ verdict, strange }) ? 'EXACTLY ONCE' : 'NOT EXACTLY ONCE',
  ].join('\n')
}

/** Whether the promise was kept, and nothing ended that should not have. */
export function good({ verdict, strange }: Pick<Result, 'verdict' | 'strange'>): boolean {
  return verdict.ok && strange.length === 0
}

function recovery(times: readonly number[]): string {
  if (times.length === 0) return 'nobody was killed with something in hand'
  const at = (share: number) => duration2(quantile(times, share))
  return `${times.length} kills with something in hand, settled after p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, at most ${at(1)}`
}

const duration2 = (ms: number) => `${(ms / 1000).toFixed(1)} s`
