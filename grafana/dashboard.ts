import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  type Panel,
  RowBuilder,
  type VariableModel,
} from '@grafana/grafana-foundation-sdk/dashboard'

const TAG = 'conveyor'

export interface Row {
  /** Without a title, there is no heading. */
  readonly title?: string
  /** From left to right; the widths of a line add up to 24. */
  readonly panels: Builder<Panel>[]
}

export interface Page {
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly rows: Row[]
  /** What can be chosen above the panels. */
  readonly variables?: Builder<VariableModel>[]
}

/** What all dashboards have in common. */
export function dashboard({ uid, title, description, rows, variables = [] }: Page): Dashboard {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .time({ from: 'now-15m', to: 'now' })
    .refresh('5s')
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .links([
      new DashboardLinkBuilder('Dashboards').type(DashboardLinkType.Dashboards).tags([TAG]).keepTime(true),
      new DashboardLinkBuilder('Traces')
        .type(DashboardLinkType.Link)
        .url('http://localhost:16686')
        .icon('external link')
        .tooltip('Jaeger')
        .targetBlank(true),
    ])
  for (const variable of variables) builder.withVariable(variable)
  for (const row of rows) {
    if (row.title !== undefined) builder.withRow(new RowBuilder(row.title))
    for (const panel of row.panels) builder.withPanel(panel)
  }
  return numbered(builder.build())
}

/** Gives panels their ids and queries their letters, which the builders leave open; links stay in sight. */
function numbered(dashboard: Dashboard): Dashboard {
  for (const link of dashboard.links ?? []) delete link.placement
  for (const [index, panel] of (dashboard.panels ?? []).entries()) {
    panel.id = index + 1
    if (!('targets' in panel)) continue
    for (const [number, target] of (panel.targets ?? []).entries()) {
      Object.assign(target, { refId: String.fromCharCode('A'.charCodeAt(0) + number) })
    }
  }
  return dashboard
}
