import { useMemo } from 'preact/hooks'
import type { Mark, Series } from '../contract.ts'
import { Chart, type Line } from './chart.tsx'
import { columnsOf, marksIn, windowOf } from './chart-data.ts'
import { count, duration, perSecond } from './format.ts'
import { redisNow } from './live.ts'
import { Time } from './time.tsx'

const RATES: readonly Line[] = [
  { name: 'in', color: '--series-1', format: perSecond },
  { name: 'out', color: '--series-2', format: perSecond },
]
const LAG: readonly Line[] = [{ name: 'packages', color: '--series-3', format: count }]
const LATENCY: readonly Line[] = [{ name: 'p99', color: '--series-4', format: duration }]

/** In, out, lag and latency over the last five minutes, and what was done to the pipeline meanwhile. */
export function Charts({ series, marks }: { readonly series: Series; readonly marks: readonly Mark[] }) {
  const [rates, lag, latency] = useMemo(
    () =>
      [columnsOf(series, ['in', 'out']), columnsOf(series, ['lag']), columnsOf(series, ['latency'])] as const,
    [series],
  )
  const window = windowOf(series, redisNow())
  const shown = marksIn(marks, window)
  const common = { window, marks: shown }
  return (
    <>
      <div class="charts">
        <Chart title="Packages" lines={RATES} columns={rates} least={10} axis={short} {...common} />
        <Chart
          title="Lag"
          also={oldest(series)}
          lines={LAG}
          columns={lag}
          least={10}
          axis={short}
          {...common}
        />
        <Chart title="Latency" lines={LATENCY} columns={latency} least={10} axis={duration} {...common} />
      </div>
      {shown.length > 0 && (
        <ol class="marks" aria-label="Faults that were injected">
          {shown.toReversed().map(({ at, kind, text }) => (
            <li key={`${at} ${kind} ${text}`}>
              <i class="mark-dot" /> {text} <Time at={at} />
            </li>
          ))}
        </ol>
      )}
    </>
  )
}

/** The lag in time. */
function oldest({ lagMs }: Series): string {
  return `oldest ${duration(lagMs.at(-1))}`
}

const COMPACT = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })

/** `1.2K`, for axes. */
function short(value: number): string {
  return COMPACT.format(value)
}
