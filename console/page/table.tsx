import type { ComponentChildren } from 'preact'
import { useNarrower } from './use-narrower.ts'

export interface Column<Row> {
  /** Heading; also beside each cell where rows are cards. */
  readonly head: string
  readonly cell: (row: Row) => ComponentChildren
  /** `id`: long, and not to be broken. */
  readonly kind?: 'number' | 'wide' | 'id' | 'actions'
  /** What else is to be known of the column, on hover. */
  readonly title?: string
  /** Stands in place of the heading. */
  readonly header?: ComponentChildren
}

interface Props<Row> {
  /** For screen readers. */
  readonly caption: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly keyOf: (row: Row) => string
  readonly classOf?: (row: Row) => string
}

/** What elements of a table are anyway, until they are laid out as cards: said outright, browsers do not forget it. */
const ROLE = {
  table: 'table',
  rowgroup: 'rowgroup',
  row: 'row',
  columnheader: 'columnheader',
  cell: 'cell',
} as const

/** Columns that need a wide page. */
const MANY = 8

/** A table, whose rows are cards where the page is narrow. */
export function Table<Row>({ caption, columns, rows, keyOf, classOf }: Props<Row>) {
  const cards = useNarrower(columns.length > MANY ? 1140 : 760)
  return (
    <table class={cards ? 'table cards' : 'table'} role={ROLE.table}>
      <caption class="hidden">{caption}</caption>
      <thead role={ROLE.rowgroup}>
        <tr role={ROLE.row}>
          {columns.map(({ head, kind, title, header }) => (
            <th key={head} role={ROLE.columnheader} scope="col" class={kind} title={title}>
              {header ?? (kind === 'actions' ? <span class="hidden">{head}</span> : head)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role={ROLE.rowgroup}>
        {rows.map(row => (
          <tr key={keyOf(row)} role={ROLE.row} class={classOf?.(row)}>
            {columns.map(({ head, kind, cell }) => (
              <td key={head} role={ROLE.cell} class={kind} data-head={head}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
