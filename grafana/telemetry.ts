import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboard, type Row } from './dashboard.ts'
import { COUNT, coloured, fixed, limit, PER_SECOND, series, stat, steps, words } from './panels.ts'
import { last, now, over, perSecond, total } from './queries.ts'

const JOB = 'job="otel-collector"'

/** A metric of the Collector itself, which adds units and `_total` to names or not, as its settings say. */
const collector = (name: string) => `{__name__=~"otelcol_${name}(_.+)?",${JOB}}`

const signals = ['spans', 'metric_points']
const refused = signals.map(signal => collector(`receiver_refused_${signal}`))
const failed = signals.flatMap(signal =>
  ['send', 'enqueue'].map(step => collector(`exporter_${step}_failed_${signal}`)),
)
const sum = (counters: string[]) => counters.map(each => `(${total(each)})`).join(' + ')

const queueSize = `max by (exporter) (otelcol_exporter_queue_size{${JOB}})`
const queueCapacity = `max by (exporter) (otelcol_exporter_queue_capacity{${JOB}})`
const dropped = 'otel_sdk_processor_span_processed_total{error_type!=""}'
const heap = 'sum by (job, instance) (last_over_time(v8js_memory_heap_used_bytes[$__rate_interval]))'

const overview: Row = {
  panels: [
    coloured(
      stat('Collector', 'Whether Prometheus reaches it.', 'none', [last(`max (up{${JOB}})`, 'Collector')])
        .mappings([words({ 0: ['down', 'red'], 1: ['up', 'green'] })])
        .span(4),
      'red',
    ),
    coloured(
      stat('Spans', 'That the Collector takes in.', PER_SECOND, [
        last(perSecond(collector('receiver_accepted_spans')), 'spans'),
      ]).span(4),
      'blue',
    ),
    coloured(
      stat('Metric points', 'That the Collector takes in.', PER_SECOND, [
        last(perSecond(collector('receiver_accepted_metric_points')), 'points'),
      ]).span(4),
      'blue',
    ),
    coloured(
      stat('Dropped in services', 'Spans that did not fit into a queue, or were not taken.', COUNT, [
        last(total(dropped), 'dropped'),
      ]).span(4),
      'green',
      [1, 'red'],
    ),
    coloured(
      stat('Refused by the Collector', 'Spans and metric points; the senders try again.', COUNT, [
        last(sum(refused), 'refused'),
      ]).span(4),
      'green',
      [1, 'orange'],
    ),
    coloured(
      stat('Not delivered', 'Spans and metric points that a back end did not take.', COUNT, [
        last(sum(failed), 'not delivered'),
      ]).span(4),
      'green',
      [1, 'red'],
    ),
  ],
}

const collection: Row = {
  title: 'Collector',
  panels: [
    series('Taken in', 'What its receivers accept.', PER_SECOND, [
      over(perSecond(collector('receiver_accepted_spans'), 'receiver'), '{{receiver}}: spans'),
      over(
        perSecond(collector('receiver_accepted_metric_points'), 'receiver'),
        '{{receiver}}: metric points',
      ),
    ]).span(8),
    series('Sent on', 'What its exporters have delivered.', PER_SECOND, [
      over(perSecond(collector('exporter_sent_spans'), 'exporter'), '{{exporter}}: spans'),
      over(perSecond(collector('exporter_sent_metric_points'), 'exporter'), '{{exporter}}: metric points'),
    ]).span(8),
    steps(
      series('Refused and not delivered', 'Spans and metric points, counted up.', COUNT, [
        over(sum(refused), 'refused'),
        over(sum(failed), 'not delivered'),
      ])
        .span(8)
        .overrideByName('refused', fixed('orange'))
        .overrideByName('not delivered', fixed('red')),
    ),
    limit(
      series('Queues', 'How full each exporter’s queue is. What does not fit is lost.', 'percentunit', [
        over(`${queueSize} / ${queueCapacity}`, '{{exporter}}'),
      ]).span(8),
      0.8,
    ),
    series('Memory', 'What the process takes, and what its objects take.', 'bytes', [
      over(`max (${collector('process_memory_rss')})`, 'resident'),
      over(`max (otelcol_process_runtime_heap_alloc_bytes{${JOB}})`, 'heap'),
    ]).span(8),
    series('Processor', 'Part of one processor core.', 'percentunit', [
      over(perSecond(collector('process_cpu_seconds')), 'Collector'),
    ]).span(8),
  ],
}

const sdk: Row = {
  title: 'Telemetry in the services',
  panels: [
    series('Spans exported', 'Handed to the exporter.', PER_SECOND, [
      over(perSecond('otel_sdk_processor_span_processed_total{error_type=""}', 'job'), '{{job}}'),
    ]).span(8),
    steps(
      series('Spans dropped', 'By reason, counted up. queue_full: more spans than the queue holds.', COUNT, [
        over(total(dropped, 'job', 'error_type'), '{{job}}: {{error_type}}'),
      ]).span(8),
    ),
    series('Span queue', 'The fullest queue of each service, and what one can hold.', COUNT, [
      over(now('otel_sdk_processor_span_queue_size', 'job'), '{{job}}'),
      over(now('otel_sdk_processor_span_queue_capacity'), 'capacity'),
    ])
      .span(8)
      .overrideByName('capacity', fixed('red')),
  ],
}

const node: Row = {
  title: 'Node.js',
  panels: [
    limit(
      series('Event loop', 'How busy the busiest process of each service is.', 'percentunit', [
        over(now('nodejs_eventloop_utilization_ratio', 'job'), '{{job}}'),
      ])
        .span(6)
        .max(1),
      0.95,
    ),
    series('Event loop delay', 'The slowest of a hundred turns, in the worst process.', 's', [
      over(now('nodejs_eventloop_delay_p99_seconds', 'job'), '{{job}}'),
    ]).span(6),
    series('Heap', 'Used by the largest process of each service.', 'bytes', [
      over(`max by (job) (${heap})`, '{{job}}'),
    ]).span(6),
    series('Garbage collection', 'Part of the time, over all processes of a service.', 'percentunit', [
      over(perSecond('v8js_gc_duration_seconds_sum', 'job', 'v8js_gc_type'), '{{job}}: {{v8js_gc_type}}'),
    ]).span(6),
  ],
}

export const telemetry = (): Dashboard =>
  dashboard({
    uid: 'telemetry',
    title: 'Conveyor: telemetry',
    description: 'Whether traces and metrics arrive, and what they cost.',
    rows: [overview, collection, sdk, node],
  })
