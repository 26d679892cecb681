import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboard, type Row } from './dashboard.ts'
import {
  barGauge,
  bars,
  COUNT,
  coloured,
  colours,
  fixed,
  heatmap,
  limit,
  line,
  PER_SECOND,
  series,
  sideBySide,
  stacked,
  stat,
  states,
  steps,
  words,
} from './panels.ts'
import { GROUP, last, over, percentiles as percentilesOfAll, STREAM, shareOf } from './queries.ts'
import { queues } from './queues.ts'
import {
  CHOSEN,
  chosen,
  heat,
  highest,
  now,
  nowAll,
  nowMost,
  percentiles,
  perSecond,
  total,
} from './streams.ts'

const processed = perSecond('messages_processed_total', 'consumer')
const processedTotal = total('messages_processed_total', 'consumer')

const overview: Row = {
  panels: [
    coloured(
      stat('Produced', 'Packages that the producers of this time range have given out.', COUNT, [
        last(total('messages_produced_total'), 'produced'),
      ]),
      'blue',
    ),
    coloured(
      stat('Processed', 'Packages whose line the consumers of this time range have committed.', COUNT, [
        last(total('messages_processed_total'), 'processed'),
      ]),
      'green',
    ),
    coloured(
      stat(
        'Given out, done',
        'Of this run, as Redis has it: the last package number, and the packages whose line is committed. What is between them is on its way, waits for another attempt, or was given up.',
        COUNT,
        [last(now('conveyor_packages_given_out'), 'given out'), last(now('conveyor_packages_done'), 'done')],
      ),
      'blue',
    ).overrideByName('done', colours('green')),
    coloured(
      stat(
        'Lag',
        'Packages that are not yet delivered to the group that is furthest behind, of each stream.',
        COUNT,
        [last(now('conveyor_lag'), 'lag')],
      ),
      'green',
      [1000, 'orange'],
    ),
    coloured(
      stat('Pending', 'Entries delivered to a consumer and not settled.', COUNT, [
        last(nowAll('conveyor_pending', GROUP, 'consumer'), 'pending'),
      ]),
      'green',
      [10_000, 'orange'],
    ),
    coloured(
      stat('Oldest pending', 'Age of the oldest entry that is delivered and not settled.', 's', [
        last(highest('conveyor_oldest_pending_age_seconds'), 'oldest pending'),
      ]),
      'green',
      [5, 'orange'],
      [30, 'red'],
    ),
    coloured(
      stat('Dead letters', 'Entries in the dead letters: packages that no handler could process.', COUNT, [
        last(now('conveyor_dead_letters'), 'dead letters'),
      ]),
      'green',
      [1, 'red'],
    ),
    coloured(
      stat('Consumers alive', 'Consumers whose last heartbeat is less than two seconds old.', COUNT, [
        last(
          `count(${highest('conveyor_heartbeat_age_seconds', STREAM, 'consumer')} < 2) or vector(0)`,
          'alive',
        ),
      ]),
      'red',
      [1, 'green'],
    ),
  ],
}

const throughput: Row = {
  title: 'Throughput',
  panels: [
    series('Rate', 'Packages given out, and packages whose line is committed.', PER_SECOND, [
      over(perSecond('messages_produced_total'), 'produced'),
      over(perSecond('messages_processed_total'), 'processed'),
    ])
      .span(8)
      .overrideByName('produced', fixed('blue'))
      .overrideByName('processed', fixed('green')),
    series('Lag and pending', 'What waits in the stream, and what the consumers have in hand.', COUNT, [
      over(now('conveyor_lag'), 'lag'),
      over(nowAll('conveyor_pending', GROUP, 'consumer'), 'pending'),
    ])
      .span(8)
      .overrideByName('lag', fixed('orange'))
      .overrideByName('pending', fixed('purple')),
    stacked(
      series(
        'Given out and not done',
        'Where the packages of this run are whose line is not committed. The line is what is given out less what is done: the areas reach it, but for what is just returning to the stream.',
        COUNT,
        [
          over(nowMost('conveyor_purged_total'), 'purged'),
          over(nowMost('conveyor_dead_letters_by_reason', 'error_type'), 'dead letters'),
          over(now('conveyor_retry_waiting'), 'waiting'),
          over(nowMost('conveyor_pending', 'consumer'), 'pending'),
          over(now('conveyor_lag'), 'lag'),
          over(
            `${now('conveyor_packages_given_out')} - ${now('conveyor_packages_done')}`,
            'given out and not done',
          ),
        ],
      ).span(8),
    )
      .overrideByName('purged', fixed('text'))
      .overrideByName('dead letters', fixed('red'))
      .overrideByName('waiting', fixed('yellow'))
      .overrideByName('pending', fixed('purple'))
      .overrideByName('lag', fixed('orange'))
      .overrideByName('given out and not done', line('blue')),
  ],
}

const consumers: Row = {
  title: 'Consumers',
  panels: [
    barGauge('Processed by consumer', 'Packages whose line each consumer has committed.', COUNT, [
      last(`sort_desc(${processedTotal})`, '{{consumer}}'),
    ]),
    barGauge('Share of each consumer', 'Each one’s part of all packages processed.', 'percentunit', [
      last(`sort_desc(${shareOf(processedTotal)})`, '{{consumer}}'),
    ])
      .max(1)
      .decimals(1),
    stacked(
      series('Distribution over time', 'Each one’s part of what is processed at the time.', 'percentunit', [
        over(shareOf(processed), '{{consumer}}'),
      ])
        .span(8)
        .max(1),
    ),
    stacked(
      series('Processing by consumer', 'Packages whose line is committed.', PER_SECOND, [
        over(processed, '{{consumer}}'),
      ]).span(8),
    ),
    series('Pending by consumer', 'Entries that each consumer has in hand.', COUNT, [
      over(now('conveyor_pending', 'consumer'), '{{consumer}}'),
    ]).span(8),
    limit(
      series(
        'Heartbeat age',
        'Since each consumer’s last heartbeat. Past the line, its peers take over what it has in hand.',
        's',
        [over(highest('conveyor_heartbeat_age_seconds', 'consumer'), '{{consumer}}')],
      ).span(8),
      1,
    ),
  ],
}

const latency: Row = {
  title: 'Latency',
  panels: [
    heatmap('End to end', 'From appending a package until its line is committed.', 's', [
      heat('conveyor_end_to_end_duration_seconds'),
    ]),
    series('End to end, percentiles', 'From appending a package until its line is committed.', 's', [
      ...percentiles('conveyor_end_to_end_duration_seconds'),
    ]).height(9),
    series('Handler', 'One package in the handler.', 's', [
      ...percentiles('messaging_process_duration_seconds'),
    ]).span(8),
    series(
      'Handler of traced packages',
      'From the spans that were sampled. Each dot is a package; it leads to its trace.',
      's',
      percentilesOfAll(
        'traces_span_metrics_duration_seconds{service_name="conveyor-consumer",span_name=~"process $stream"}',
      ),
    ).span(8),
    series('Requests to Redis', 'A batch appended (send) or settled (settle), until Redis’ answer.', 's', [
      ...percentiles('messaging_client_operation_duration_seconds', 'messaging_operation_name'),
    ]).span(8),
  ],
}

const stream: Row = {
  title: 'Stream and trimming',
  panels: [
    series(
      'Stream length',
      'Entries in the stream. A trim takes away only what every group has done.',
      COUNT,
      [over(now('stream_length_current'), 'entries')],
    ).span(8),
    bars(
      series('Cleaned over time', 'Entries trimmed.', PER_SECOND, [
        over(perSecond('stream_cleanup_total'), 'cleaned'),
      ]).span(8),
    ),
    coloured(
      stat('Messages cleaned', 'Entries trimmed by the producers of this time range.', COUNT, [
        last(total('stream_cleanup_total'), 'cleaned'),
      ]),
      'blue',
    )
      .span(4)
      .height(8),
    coloured(
      stat('Cleanup operations', 'Trims by the producers of this time range.', COUNT, [
        last(total('stream_cleanup_operations_total'), 'trims'),
      ]),
      'blue',
    ).span(4),
    coloured(
      stat('Trimming', 'Held back while a group still needs what could be trimmed.', 'none', [
        last(highest('conveyor_stream_pinned'), 'trimming'),
      ]).mappings([words({ 0: ['free', 'green'], 1: ['held back', 'orange'] })]),
      'text',
    ).span(4),
  ],
}

const failedAttempts = perSecond('messaging_process_duration_seconds_count{error_type!=""}')
const attempts = perSecond('messaging_process_duration_seconds_count')

const retries: Row = {
  title: 'Retries and dead letters',
  panels: [
    stacked(
      series('Retries', 'Failed attempts after which there is another, by reason.', PER_SECOND, [
        over(perSecond('conveyor_retries_total', 'error_type'), '{{error_type}}'),
      ]).span(8),
    ),
    limit(
      series(
        'Failed attempts',
        'Their part of all attempts. Past the line, there is an alert.',
        'percentunit',
        [over(`(${failedAttempts} or vector(0)) / (${attempts} > 0)`, 'failed')],
      )
        .span(8)
        .overrideByName('failed', fixed('red')),
      0.25,
    ),
    series('Waiting for another attempt', 'Packages that left the stream until they are due.', COUNT, [
      over(now('conveyor_retry_waiting', GROUP), '{{messaging_consumer_group_name}}'),
    ]).span(8),
    limit(
      series(
        'Overdue',
        'How late the first package is that waits for another attempt. Past the line, no consumer returns it.',
        's',
        [over(highest('conveyor_retry_overdue_seconds', GROUP), '{{messaging_consumer_group_name}}')],
      ).span(8),
      30,
    ),
    stacked(
      series('Dead letters by reason', 'What is in the dead letters, of this run.', COUNT, [
        over(
          `sum by (error_type) (${now('conveyor_dead_letters_by_reason', GROUP, 'error_type')})`,
          '{{error_type}}',
        ),
      ]).span(8),
    ).decimals(0),
    steps(
      series('Replayed and purged', 'Dead letters returned to the stream or deleted, in this run.', COUNT, [
        over(nowAll('conveyor_replays_total', GROUP), 'replayed'),
        over(nowAll('conveyor_purged_total', GROUP), 'purged'),
      ])
        .span(8)
        .overrideByName('purged', fixed('text')),
    ),
  ],
}

const faults: Row = {
  title: 'Faults and backpressure',
  panels: [
    sideBySide(
      coloured(
        stat(
          'Faults survived',
          'In this time range. Claimed: taken over from a silent peer. Redelivered: delivered before. Fenced: an outcome refused, because a peer had taken over. Restarts: lost connections and sessions. Retried: attempts that failed and were made again. Dead: gone to the dead letters, one that was replayed perhaps again.',
          COUNT,
          [
            last(total('conveyor_claims_total'), 'claimed'),
            last(total('conveyor_redeliveries_total'), 'redelivered'),
            last(total('conveyor_fenced_total'), 'fenced'),
            last(total('conveyor_restarts_total'), 'restarts'),
            last(total('conveyor_retries_total'), 'retried'),
            last(total('conveyor_dead_total'), 'dead'),
          ],
        ),
        'green',
        [1, 'orange'],
      ),
    )
      .overrideByName('dead', colours('green', [1, 'red']))
      .span(24),
    steps(
      series('Faults over time', 'Counted up; a step is where something happened.', COUNT, [
        over(total('conveyor_claims_total'), 'claimed'),
        over(total('conveyor_redeliveries_total'), 'redelivered'),
        over(total('conveyor_fenced_total'), 'fenced'),
        over(total('conveyor_restarts_total'), 'restarts'),
      ]).span(8),
    ),
    steps(
      series('Deaths by reason', 'Entries that went to the dead letters, counted up.', COUNT, [
        over(`${total('conveyor_dead_total', 'error_type')} > 0`, '{{error_type}}'),
      ]).span(8),
    ),
    states('Backpressure', 'What holds reading or sending back, and when.', [
      over(highest('conveyor_backpressure', 'job', 'reason'), '{{job}} {{reason}}'),
    ])
      .mappings([words({ 0: ['flowing', 'green'], 1: ['held back', 'orange'] })])
      .span(8),
  ],
}

const output: Row = {
  title: 'Output',
  panels: [
    stacked(
      series('Written to disk', 'Output files, by consumer.', 'Bps', [
        over(perSecond('conveyor_output_bytes_total', 'consumer'), '{{consumer}}'),
      ]).span(6),
    ),
    series('Waiting for the disk', 'Output committed and not known to be on disk.', 'bytes', [
      over(now('conveyor_unflushed_bytes', 'consumer'), '{{consumer}}'),
    ]).span(6),
    series('Write and fdatasync', 'One write of output with its fdatasync.', 's', [
      ...percentiles('conveyor_flush_duration_seconds'),
    ]).span(6),
    series('Held', 'Entries that all consumers have received and not settled.', COUNT, [
      over(`sum (last_over_time(${chosen('conveyor_held')}[$__rate_interval]))`, 'held'),
    ]).span(6),
  ],
}

export const conveyor = (): Dashboard =>
  dashboard({
    uid: 'conveyor',
    title: 'Conveyor: pipeline',
    description: 'What goes in, what comes out, and what is between, of the streams that are chosen.',
    variables: [CHOSEN],
    rows: [overview, queues, throughput, consumers, latency, stream, retries, faults, output],
  })
