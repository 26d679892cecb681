import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboard, type Row } from './dashboard.ts'
import { COUNT, coloured, fixed, PER_SECOND, series, stacked, stat, words } from './panels.ts'
import { last, over, perSecond } from './queries.ts'

const status = {
  0: ['off or failed', 'red'],
  1: ['ok', 'green'],
} satisfies Parameters<typeof words>[0]

const overview: Row = {
  panels: [
    coloured(
      stat('Redis', 'Whether the exporter reaches it.', 'none', [
        last('max (redis_up{job="redis"})', 'Redis'),
      ]).mappings([words({ 0: ['down', 'red'], 1: ['up', 'green'] })]),
      'red',
    ),
    coloured(
      stat('Uptime', 'Since the server was started.', 's', [
        last('max (redis_uptime_in_seconds)', 'uptime'),
      ]).decimals(0),
      'blue',
    ),
    coloured(
      stat('Memory', 'Used by data and buffers.', 'bytes', [last('sum (redis_memory_used_bytes)', 'used')]),
      'blue',
    ),
    coloured(
      stat('Clients', 'Connections that are open.', COUNT, [
        last('sum (redis_connected_clients)', 'clients'),
      ]),
      'blue',
    ),
    coloured(
      stat('Commands', 'Carried out in a second.', PER_SECOND, [
        last(perSecond('redis_commands_processed_total'), 'commands'),
      ]),
      'blue',
    ),
    coloured(stat('Keys', 'In all databases.', COUNT, [last('sum (redis_db_keys)', 'keys')]), 'blue'),
    coloured(
      stat('Append-only file', 'Whether the last write to it worked.', 'none', [
        last('min (redis_aof_enabled * redis_aof_last_write_status)', 'append-only file'),
      ]).mappings([words(status)]),
      'red',
      [1, 'green'],
    ),
    coloured(
      stat('Evicted', 'Keys that were thrown away for want of memory; there must be none.', COUNT, [
        last('sum (redis_evicted_keys_total)', 'evicted'),
      ]),
      'green',
      [1, 'red'],
    ),
  ],
}

const commands: Row = {
  title: 'Commands',
  panels: [
    stacked(
      series('Commands by name', 'Carried out in a second.', PER_SECOND, [
        over(`${perSecond('redis_commands_total', 'cmd')} > 0`, '{{cmd}}'),
      ]),
    ),
    series('Mean duration by name', 'In the server, without the way to it.', 's', [
      over(
        `${perSecond('redis_commands_duration_seconds_total', 'cmd')} / (${perSecond('redis_commands_total', 'cmd')} > 0)`,
        '{{cmd}}',
      ),
    ]),
  ],
}

const resources: Row = {
  title: 'Resources',
  panels: [
    series(
      'Memory over time',
      'What the data takes, what the process takes, and the limit if there is one.',
      'bytes',
      [
        over('sum (redis_memory_used_bytes)', 'used'),
        over('sum (redis_memory_used_rss_bytes)', 'resident'),
        over('sum (redis_memory_used_peak_bytes)', 'peak'),
        over('sum (redis_memory_max_bytes) > 0', 'limit'),
      ],
    )
      .span(8)
      .overrideByName('limit', fixed('red')),
    series(
      'Clients over time',
      'A blocked client waits for new entries; that is how consumers read.',
      COUNT,
      [over('sum (redis_connected_clients)', 'connected'), over('sum (redis_blocked_clients)', 'blocked')],
    ).span(8),
    series('Connections', 'Newly opened; refused, because there are too many.', PER_SECOND, [
      over(perSecond('redis_connections_received_total'), 'opened'),
      over(perSecond('redis_rejected_connections_total'), 'refused'),
    ])
      .span(8)
      .overrideByName('refused', fixed('red')),
    series('Network', 'What Redis receives and sends.', 'Bps', [
      over(perSecond('redis_net_input_bytes_total'), 'received'),
      over(perSecond('redis_net_output_bytes_total'), 'sent'),
    ]).span(8),
    stacked(
      series('Processor', 'Part of one processor core.', 'percentunit', [
        over(perSecond('redis_cpu_user_seconds_total'), 'user'),
        over(perSecond('redis_cpu_sys_seconds_total'), 'system'),
      ]).span(8),
    ),
    series('Slow log', 'Commands that Redis has noted as slow.', COUNT, [
      over('sum (redis_slowlog_length)', 'commands'),
    ]).span(8),
  ],
}

const data: Row = {
  title: 'Data',
  panels: [
    series('Keys by database', 'What is in each.', COUNT, [
      over('sum by (db) (redis_db_keys) > 0', '{{db}}'),
    ]).span(6),
    series('Streams', 'Entries in each stream that the exporter looks at.', COUNT, [
      over('max by (stream) (redis_stream_length)', '{{stream}}'),
    ]).span(6),
    series('Size of the append-only file', 'Now, and after the last rewrite.', 'bytes', [
      over('sum (redis_aof_current_size_bytes)', 'now'),
      over('sum (redis_aof_base_size_bytes)', 'after the rewrite'),
    ]).span(6),
    series('Delayed fsync', 'Writes that had to wait for the disk, since the start.', COUNT, [
      over('sum (redis_aof_delayed_fsync)', 'delayed'),
      over('sum (redis_aof_rewrite_in_progress)', 'rewrite in progress'),
    ])
      .span(6)
      .decimals(0),
  ],
}

export const redis = (): Dashboard =>
  dashboard({
    uid: 'redis',
    title: 'Conveyor: Redis',
    description: 'The server that the stream lives in.',
    rows: [overview, commands, resources, data],
  })
