import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'

export const PROMETHEUS = { type: 'prometheus', uid: 'prometheus' }

/** The label that names a stream. */
export const STREAM = 'messaging_destination_name'

/** The label that names a consumer group. */
export const GROUP = 'messaging_consumer_group_name'

const grouped = (labels: string[]) => (labels.length > 0 ? ` by (${labels.join(', ')})` : '')

export const sum = (series: string, ...labels: string[]): string => `sum${grouped(labels)} (${series})`

/**
 * A gauge now: the highest of the processes that reported lately. What a process reported before it ended
 * would otherwise stand for five more minutes, and two producers report the same stream.
 */
export function now(metric: string, ...labels: string[]): string {
  return `max${grouped(labels)} (last_over_time(${metric}[$__rate_interval]))`
}

/** The same, added up over the labels. */
export function nowAll(metric: string, ...labels: string[]): string {
  return sum(now(metric, ...labels))
}

/** A counter's growth in a second, over all processes. */
export function perSecond(metric: string, ...labels: string[]): string {
  return sum(`rate(${metric}[$__rate_interval])`, ...labels)
}

/**
 * What a counter has reached, over all processes that were there in the time range. Unlike `increase`, it
 * misses neither a process' first value nor a counter that begins with its first event.
 */
export function total(metric: string, ...labels: string[]): string {
  const all = sum(`max_over_time(${metric}[$__range])`, ...labels)
  return labels.length > 0 ? all : `${all} or vector(0)`
}

export function quantile(q: number, histogram: string, ...labels: string[]): string {
  return `histogram_quantile(${q}, ${perSecond(bucket(histogram), 'le', ...labels)})`
}

/** The buckets of a histogram, which may carry a selector. */
export const bucket = (histogram: string): string => histogram.replace(/^\w+/, '$&_bucket')

/** What each series is of the sum of all. */
export const shareOf = (series: string): string => `(${series}) / scalar(sum (${series}))`

function query(expression: string, legend: string): DataqueryBuilder {
  return new DataqueryBuilder().datasource(PROMETHEUS).expr(expression).legendFormat(legend)
}

/** Over the time range. */
export const over = (expression: string, legend: string): DataqueryBuilder =>
  query(expression, legend).range()

/** At the end of the time range. */
export const last = (expression: string, legend: string): DataqueryBuilder =>
  query(expression, legend).instant()

export const heat = (histogram: string): DataqueryBuilder =>
  over(perSecond(bucket(histogram), 'le'), '{{le}}').format(PromQueryFormat.Heatmap)

/** Percentiles, with exemplars as dots that lead to traces. */
export function percentiles(histogram: string, ...labels: string[]): DataqueryBuilder[] {
  const prefix = labels.map(label => `{{${label}}} `).join('')
  return [0.5, 0.95, 0.99].map(q =>
    over(quantile(q, histogram, ...labels), `${prefix}p${q * 100}`).exemplar(q === 0.99),
  )
}
