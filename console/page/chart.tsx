import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import type { Mark } from '../contract.ts'
import { type Columns, ceiling, valueAt } from './chart-data.ts'
import { clock } from './format.ts'
import { useStore } from './store.ts'
import { theme } from './theme.tsx'

export interface Line {
  readonly name: string
  /** Custom property that holds its colour. */
  readonly color: string
  readonly format: (value: number | null) => string
}

interface Props {
  readonly title: string
  /** What else is to be known now, beside the lines. */
  readonly also?: string
  readonly lines: readonly Line[]
  readonly columns: Columns
  /** Seconds. */
  readonly window: readonly [number, number]
  readonly marks: readonly Mark[]
  /** The y axis goes at least so far. */
  readonly least: number
  readonly axis: (value: number) => string
}

const HEIGHT = 132

/** Lines of five minutes, with what they were last, or where the pointer is, above them. */
export function Chart({ title, also, lines, columns, window, marks, least, axis }: Props) {
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const shown = useRef({ marks, window, least })
  shown.current = { marks, window, least }
  const [hovered, hover] = useState<number | null>(null)
  const colors = useStore(theme)

  useEffect(() => {
    const element = host.current
    if (!element) return
    const css = getComputedStyle(document.documentElement)
    const color = (name: string) => css.getPropertyValue(name).trim()
    const drawn = new uPlot(
      {
        width: element.clientWidth || 300,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'all' }, points: { size: 6 } },
        scales: {
          x: { time: true, range: () => [...shown.current.window] as [number, number] },
          y: { range: (_plot, _min, max) => [0, ceiling(max, shown.current.least)] },
        },
        axes: [
          {
            stroke: color('--soft'),
            grid: { show: false },
            ticks: { show: false },
            size: 22,
            space: 90,
            values: (_plot, at, _axis, _space, step) =>
              at.map(seconds => clock(seconds * 1000).slice(0, step < 60 ? 8 : 5)),
            incrs: [15, 30, 60, 120, 300],
          },
          {
            stroke: color('--soft'),
            grid: { stroke: color('--line'), width: 1 },
            ticks: { show: false },
            size: 52,
            space: 34,
            values: (_plot, values) => values.map(axis),
          },
        ],
        series: [
          {},
          ...lines.map(line => ({ stroke: color(line.color), width: 1.75, points: { show: false } })),
        ],
        hooks: {
          draw: [drawn => drawMarks(drawn, shown.current.marks, color('--bad'))],
          setCursor: [({ cursor, posToVal }) => hover(at(cursor.left, posToVal))],
        },
      },
      columns as uPlot.AlignedData,
      element,
    )
    plot.current = drawn
    const resized = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: HEIGHT }))
    resized.observe(element)
    return () => {
      resized.disconnect()
      drawn.destroy()
      plot.current = undefined
    }
  }, [colors])

  useEffect(() => plot.current?.setData(columns as uPlot.AlignedData), [columns])

  const last = columns[0].at(-1) ?? 0
  const values = lines.map((line, index) => ({ ...line, value: valueAt(columns, index, hovered ?? last) }))
  const summary = values.map(({ name, value, format }) => `${name} ${format(value)}`).join(', ')
  return (
    <figure class="chart">
      <figcaption>
        <h3>{title}</h3>
        {values.map(({ name, color, value, format }) => (
          <span key={name} class="key">
            <i class={`swatch ${color.slice(2)}`} /> {name} <b>{format(value)}</b>
          </span>
        ))}
        {also && hovered === null && <span class="key soft">{also}</span>}
        {hovered !== null && <span class="key soft">{clock(hovered * 1000)}</span>}
      </figcaption>
      <div ref={host} role="img" aria-label={`${title}, the last five minutes; now ${summary}`} />
    </figure>
  )
}

function at(left: number | undefined, toValue: uPlot['posToVal']): number | null {
  return left === undefined || left < 0 ? null : toValue(left, 'x')
}

/** A line for each fault. */
function drawMarks(plot: uPlot, marks: readonly Mark[], color: string): void {
  const { ctx, bbox } = plot
  ctx.save()
  ctx.strokeStyle = color
  ctx.fillStyle = color
  ctx.lineWidth = devicePixelRatio
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio])
  for (const { at } of marks) {
    const x = Math.min(Math.round(plot.valToPos(at / 1000, 'x', true)), bbox.left + bbox.width)
    if (x < bbox.left) continue
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    ctx.beginPath()
    ctx.arc(x, bbox.top + 3 * devicePixelRatio, 3 * devicePixelRatio, 0, 2 * Math.PI)
    ctx.fill()
  }
  ctx.restore()
}
