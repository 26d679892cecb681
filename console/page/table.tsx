import type { ComponentChildren } from 'preact'

export interface Column<Row> {
  /** Heading; also beside each cell where rows are cards. */
  readonly head: string
  readonly cell: (row: Row) => ComponentChildren
  readonly kind?: 'number' | 'wide' | 'actions'
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

/**
 * A table, whose rows are cards where the page is narrow. Roles are said outright, because browsers forget them for
 * cells that are not laid out as such.
 */
export function Table<Row>({ caption, columns, rows, keyOf, classOf }: Props<Row>) {
  return (
    <table class="table" role="table">
      <caption class="hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ head, kind, title, header }) => (
            <th key={head} role="columnheader" scope="col" class={kind} title={title}>
              {header ?? (kind === 'actions' ? <span class="hidden">{head}</span> : head)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map(row => (
          <tr key={keyOf(row)} role="row" class={classOf?.(row)}>
            {columns.map(({ head, kind, cell }) => (
              <td key={head} role="cell" class={kind} data-head={head}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
