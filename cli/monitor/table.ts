import { bytes, count, duration, perSecond } from '@conveyor/doctor'
import type { Life } from '@conveyor/stream'
import Table from 'cli-table3'
import type { Colors } from '../colors.ts'
import type { ConsumerReport } from './report.ts'

interface Column {
  readonly title: string
  readonly text: (consumer: ConsumerReport) => string
  /** Those with the highest go first when there is no room. */
  readonly spare: number
}

const COLUMNS: readonly Column[] = [
  { title: 'consumer', text: ({ id }) => id, spare: 0 },
  { title: 'state', text: ({ state }) => (state === 'unknown' ? '…' : state), spare: 0 },
  { title: 'pending', text: ({ pending }) => count(pending), spare: 0 },
  {
    title: 'oldest',
    text: ({ oldestPending }) => (oldestPending === null ? '-' : duration(oldestPending)),
    spare: 1,
  },
  {
    title: 'delivered',
    text: ({ deliveries }) => (deliveries === null ? '-' : `${count(deliveries)}×`),
    spare: 5,
  },
  { title: 'processed', text: ({ processed }) => count(processed), spare: 0 },
  { title: 'rate', text: one => perSecond(one.perSecond), spare: 2 },
  { title: 'claimed', text: ({ claimed }) => count(claimed), spare: 4 },
  { title: 'fenced', text: ({ fenced }) => count(fenced), spare: 3 },
  { title: 'unflushed', text: ({ unflushed }) => bytes(unflushed), spare: 6 },
]

const GAP = 2
/** Columns that a name is cut to before others are left out for it, and then. */
const SHORT_NAME = 16
const SHORTEST_NAME = 8

/**
 * The consumers, a row each, in at most `width` columns: long names are cut, then what is least needed is left out.
 * Those that are gone are one row together.
 *
 * @param rows at most so many consumers
 */
export function consumerTable(
  consumers: readonly ConsumerReport[],
  { width, rows, color }: { width: number; rows: number; color: Colors },
): string {
  const here = consumers.filter(
    ({ state, pending, unflushed }) => state !== 'gone' || pending + unflushed > 0,
  )
  const gone = consumers.filter(one => !here.includes(one))
  const shown = here.slice(0, rows)
  const columns = fitting(shown, width)
  const widths = columns.map(column => naturalWidth(column, shown))
  const over = sum(widths) + GAP * (columns.length - 1) - width
  widths[0] = Math.max(SHORTEST_NAME, (widths[0] as number) - Math.max(0, over))
  const table = new Table({
    head: columns.map(({ title }) => color.dim(title)),
    colWidths: widths,
    colAligns: columns.map((_, index) => (index < 2 ? 'left' : 'right')),
    chars: { ...NO_LINES, middle: ' '.repeat(GAP) },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  })
  for (const one of shown) {
    table.push(columns.map(({ title, text }) => (title === 'state' ? stateIn(color, one) : text(one))))
  }
  const rest = [
    ...(here.length > shown.length ? [`… and ${count(here.length - shown.length)} more`] : []),
    ...(gone.length > 0
      ? [`${count(gone.length)} gone, which had processed ${count(sum(gone.map(one => one.processed)))}`]
      : []),
  ]
  return [...(shown.length > 0 ? [table.toString()] : []), ...rest.map(color.dim)].join('\n')
}

function fitting(consumers: readonly ConsumerReport[], width: number): Column[] {
  let columns = [...COLUMNS]
  const needed = () => {
    const [name = 0, ...others] = columns.map(one => naturalWidth(one, consumers))
    return Math.min(name, SHORT_NAME) + sum(others) + GAP * others.length
  }
  for (let spare = 6; spare > 0 && needed() > width; spare--) {
    columns = columns.filter(one => one.spare !== spare)
  }
  return columns
}

function naturalWidth({ title, text }: Column, consumers: readonly ConsumerReport[]): number {
  return Math.max(title.length, ...consumers.map(one => text(one).length))
}

const STATE: Record<Life, 'green' | 'yellow' | 'red' | 'dim'> = {
  live: 'green',
  silent: 'yellow',
  dead: 'red',
  unknown: 'dim',
  ended: 'yellow',
  gone: 'dim',
}

function stateIn(color: Colors, { state }: ConsumerReport): string {
  return color[STATE[state]](state === 'unknown' ? '…' : state)
}

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'mid', 'left', 'right'].flatMap(side =>
    [side, `${side}-mid`, `${side}-left`, `${side}-right`].map(name => [name, '']),
  ),
)

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
