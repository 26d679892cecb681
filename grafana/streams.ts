import {
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import * as queries from './queries.ts'
import { GROUP, PROMETHEUS, STREAM } from './queries.ts'

// The queries of queries.ts, about the streams that are chosen above the dashboard. What counts packages is added up
// over them: a package that goes through two stages is in both.

/** Which streams; without a choice, all that there are. */
export const CHOSEN = new QueryVariableBuilder('stream')
  .label('Stream')
  .description('The streams that the panels are about. Each stage has one.')
  .datasource(PROMETHEUS)
  .query({ query: `label_values(${STREAM})`, refId: 'stream' })
  .definition(`label_values(${STREAM})`)
  .refresh(VariableRefresh.OnTimeRangeChanged)
  .sort(VariableSort.AlphabeticalAsc)
  .multi(true)
  .includeAll(true)
  .allValue('.*')
  .current({ selected: true, text: ['All'], value: ['$__all'] })

/** A metric, of the chosen streams only. It may carry a selector. */
export const chosen = (metric: string): string => {
  const [, name = '', selector = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(metric) ?? []
  return `${name}{${[`${STREAM}=~"$stream"`, selector].filter(Boolean).join(',')}}`
}

/** A gauge of ages or states now: the highest. */
export const highest = (metric: string, ...labels: string[]): string => queries.now(chosen(metric), ...labels)

/** A gauge that counts now: of each stream the highest, of all streams the sum. */
export const now = (metric: string, ...labels: string[]): string =>
  queries.sum(queries.now(chosen(metric), STREAM, ...labels), ...labels)

/** The same, added up over the labels too. */
export const nowAll = (metric: string, ...labels: string[]): string =>
  queries.nowAll(chosen(metric), STREAM, ...labels)

/** A gauge now, added up over the labels within each group: of each stream its group where that is most. */
export const nowMost = (metric: string, ...labels: string[]): string => {
  const each = queries.now(chosen(metric), STREAM, GROUP, ...labels)
  return `sum (max by (${STREAM}) (sum by (${STREAM}, ${GROUP}) (${each})))`
}

export const perSecond = (metric: string, ...labels: string[]): string =>
  queries.perSecond(chosen(metric), ...labels)

export const total = (metric: string, ...labels: string[]): string => queries.total(chosen(metric), ...labels)

export const heat = (histogram: string) => queries.heat(chosen(histogram))

export const percentiles = (histogram: string, ...labels: string[]) =>
  queries.percentiles(chosen(histogram), ...labels)
