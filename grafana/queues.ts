import type { Row } from './dashboard.ts'
import { COUNT, PER_SECOND, series } from './panels.ts'
import { GROUP, over, STREAM } from './queries.ts'
import { chosen, highest, perSecond } from './streams.ts'

/** What series are called: the stream, and its group. */
const NAME = `{{${STREAM}}}`
const GROUP_NAME = `${NAME} {{${GROUP}}}`

/** Part of the time in which a consumer has nothing to do. */
const idle = perSecond('conveyor_idle_time_seconds_total', STREAM, 'consumer')

/**
 * What the last package number grows by, and not what producers count: what a stage sends on is in it too. It is a gauge,
 * which falls when a new run begins.
 */
const given = `deriv(${chosen('conveyor_packages_given_out')}[$__rate_interval])`

/** Each stream by itself: of several stages, where it is held up. */
export const queues: Row = {
  title: 'Queues',
  panels: [
    series(
      'Length by queue',
      'Entries in each stream. A trim takes away only what every group has done.',
      COUNT,
      [over(highest('stream_length_current', STREAM), NAME)],
    ).span(8),
    series('In by queue', 'Packages given out, those of the stage before included.', PER_SECOND, [
      over(`clamp_min(max by (${STREAM}) (${given}), 0)`, NAME),
    ]).span(8),
    series('Processed by queue', 'Packages done, by stream and group.', PER_SECOND, [
      over(perSecond('messages_processed_total', STREAM, GROUP), GROUP_NAME),
    ]).span(8),
    series('Rejected by queue', 'Entries that went to the dead letters, whatever the reason.', PER_SECOND, [
      over(perSecond('conveyor_dead_total', STREAM), NAME),
    ]).span(8),
    series(
      'Idle by queue',
      'Part of the time in which the consumers have nothing to do, on average. Those of a stage that holds the others up have none.',
      'percentunit',
      [over(`avg by (${STREAM}) (${idle})`, NAME)],
    )
      .span(8)
      .max(1),
    series('Idle by consumer', 'Part of the time in which each has nothing to do.', 'percentunit', [
      over(idle, `${NAME} {{consumer}}`),
    ])
      .span(8)
      .max(1),
  ],
}
