import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { PanelBuilder as Table } from '@grafana/grafana-foundation-sdk/table'
import { dashboard, type Row } from './dashboard.ts'
import { COUNT, coloured, PER_SECOND, series, stacked, stat } from './panels.ts'
import { last, over, perSecond, quantile, total } from './queries.ts'

export const POSTGRES = { type: 'grafana-postgresql-datasource', uid: 'postgres' }

/** Seconds that a point stands for. */
const STEP = 10

/** A query in SQL: rows as a table, or with a column `time` as series, one for each `metric`. */
const sql = (format: 'table' | 'time_series', rawSql: string): Builder<Dataquery> => ({
  build: () => {
    const text = rawSql.trim().replace(/\s+/g, ' ')
    const query = { datasource: POSTGRES, format, rawQuery: true, editorMode: 'code', rawSql: text }
    return Object.assign(query, { _implementsDataqueryVariant() {} })
  },
})

/** The run that has been written last, of each stream and group. */
const LATEST = `(SELECT stream, consumer_group, max(epoch) AS epoch FROM conveyor.messages GROUP BY 1, 2) AS latest`
const OF_LATEST = `conveyor.messages JOIN ${LATEST} USING (stream, consumer_group, epoch)`

const counts: Row = {
  panels: [
    coloured(
      stat('Rows', 'Of the latest run of each stream.', COUNT, [
        sql('table', `SELECT count(*) AS rows FROM ${OF_LATEST}`),
      ]).datasource(POSTGRES),
      'blue',
    ),
    coloured(
      stat('Twice', 'Packages of a run that are in more than one row; there must be none.', COUNT, [
        sql(
          'table',
          `SELECT count(*) - count(DISTINCT (stream, consumer_group, package)) AS twice FROM ${OF_LATEST}`,
        ),
      ]).datasource(POSTGRES),
      'green',
      [1, 'red'],
    ),
    coloured(
      stat(
        'Not in the table',
        'Packages up to the highest that no row has: in the dead letters, waiting, or on their way.',
        COUNT,
        [
          sql(
            'table',
            `SELECT sum(highest - packages) AS missing FROM (
              SELECT max(package) AS highest, count(DISTINCT package) AS packages
              FROM ${OF_LATEST} GROUP BY stream, consumer_group) AS runs`,
          ),
        ],
      ).datasource(POSTGRES),
      'blue',
    ),
    coloured(
      stat('Failed statements', 'In the time range, of all consumers.', COUNT, [
        last(total('postgres_insert_errors_total'), 'failed'),
      ]),
      'green',
      [1, 'orange'],
    ),
  ],
}

const rates: Row = {
  title: 'Stored',
  panels: [
    stacked(
      series('Rows by consumer', 'Stored in a second.', PER_SECOND, [
        sql(
          'time_series',
          `SELECT $__timeGroup(stored_at, '${STEP}s', 0) AS time, consumer AS metric, count(*) / ${STEP}.0 AS rows
           FROM conveyor.messages WHERE $__timeFilter(stored_at) GROUP BY 1, 2 ORDER BY 1`,
        ),
      ]).datasource(POSTGRES),
    ),
    series('Time to the row', 'From being produced, to the second, to being stored.', 's', [
      sql(
        'time_series',
        `SELECT $__timeGroup(stored_at, '${STEP}s') AS time, 'median' AS metric,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM stored_at - produced_at)) AS seconds
         FROM conveyor.messages WHERE $__timeFilter(stored_at) GROUP BY 1 ORDER BY 1`,
      ),
      sql(
        'time_series',
        `SELECT $__timeGroup(stored_at, '${STEP}s') AS time, 'longest' AS metric,
           max(extract(epoch FROM stored_at - produced_at)) AS seconds
         FROM conveyor.messages WHERE $__timeFilter(stored_at) GROUP BY 1 ORDER BY 1`,
      ),
    ]).datasource(POSTGRES),
    series('Failed statements by code', "PostgreSQL's SQLSTATE, or no answer.", PER_SECOND, [
      over(perSecond('postgres_insert_errors_total', 'error_type'), '{{error_type}}'),
    ]),
    series('Duration of a batch', 'Half, and 99 % of them, take no longer.', 's', [
      over(quantile(0.5, 'conveyor_store_duration_seconds'), '50 %'),
      over(quantile(0.99, 'conveyor_store_duration_seconds'), '99 %'),
    ]),
  ],
}

const newest: Row = {
  title: 'Rows',
  panels: [
    new Table()
      .title('Newest')
      .description('What was stored last.')
      .unit('none')
      .datasource(POSTGRES)
      .targets([
        sql(
          'table',
          `SELECT stored_at, stream, package, consumer, payload, result
           FROM conveyor.messages WHERE $__timeFilter(stored_at) ORDER BY stored_at DESC LIMIT 20`,
        ),
      ])
      .span(24)
      .height(10),
  ],
}

export const postgres = (): Dashboard =>
  dashboard({
    uid: 'postgres',
    title: 'Conveyor: PostgreSQL',
    description: 'What consumers store with OUTPUT=postgres, read from the table itself.',
    rows: [counts, rates, newest],
  })
