import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { generate } from '../grafana/dashboards.ts'
import { migrate, openPool, PostgresSink } from '../postgres/index.ts'
import { LEFT_OUT } from './installed.ts'
import { usePostgres } from './postgres.ts'

interface Target {
  refId: string
  /** Of Prometheus. */
  expr: string
  legendFormat: string
  /** Of PostgreSQL. */
  rawSql?: string
  datasource: { type: string; uid: string }
}
interface Panel {
  id: number
  type: string
  title: string
  description?: string
  datasource?: { type: string; uid: string }
  gridPos: { x: number; y: number; w: number; h: number }
  fieldConfig?: { defaults: { unit?: string } }
  targets?: Target[]
}
interface Variable {
  name: string
  type: string
  datasource: { type: string; uid: string }
  query: { query: string }
  multi: boolean
  includeAll: boolean
  allValue: string
  current: { value: string[] }
}
interface Dashboard {
  uid: string
  title: string
  panels: Panel[]
  templating: { list?: Variable[] }
}

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const files = readdirSync(new URL('../grafana/dashboards', import.meta.url)).sort()
const boards = files.map(file => JSON.parse(read(`grafana/dashboards/${file}`)) as Dashboard)
const panels = boards.flatMap(board => board.panels.map(panel => ({ ...panel, board: board.uid })))
const charts = panels.filter(panel => panel.type !== 'row')
const all = charts.flatMap(panel => (panel.targets ?? []).map(target => ({ ...target, panel })))
const targets = all.filter(({ expr }) => expr !== undefined)

test('the dashboards on disk are those that the sources make', () => {
  const made = generate()
  expect(files).toEqual(made.map(([name]) => name).sort())
  for (const [name, text] of made) {
    expect(text === read(`grafana/dashboards/${name}`), `${name}: run npm run dashboards`).toBe(true)
  }
})

test('every data source has the uid under which it is provisioned', () => {
  const { datasources } = parse(read('grafana/provisioning/datasources/datasources.yaml')) as {
    datasources: { uid: string; type: string; jsonData?: { exemplarTraceIdDestinations?: object[] } }[]
  }
  const provisioned = new Set(datasources.map(({ type, uid }) => `${type} ${uid}`))
  const uids = datasources.map(({ uid }) => uid)
  expect(provisioned).toEqual(
    new Set(['prometheus prometheus', 'grafana-postgresql-datasource postgres', 'jaeger jaeger']),
  )
  for (const { title, datasource } of [
    ...charts,
    ...all.map(({ panel, ...rest }) => ({ ...panel, ...rest })),
  ]) {
    expect(provisioned, title).toContain(`${datasource?.type} ${datasource?.uid}`)
  }
  const destinations = datasources.flatMap(source => source.jsonData?.exemplarTraceIdDestinations ?? [])
  expect(destinations).toContainEqual(expect.objectContaining({ name: 'trace_id', datasourceUid: 'jaeger' }))
  for (const destination of destinations) {
    if ('datasourceUid' in destination) expect(uids).toContain(destination.datasourceUid)
    if ('url' in destination) expect(destination.url).toContain('/trace/$${__value.raw}')
  }
})

test('nothing waits to be filled in at an import', () => {
  for (const file of files) expect(read(`grafana/dashboards/${file}`)).not.toMatch(/\$\{|__inputs|"id": null/)
})

test('dashboards and panels can be told apart, and every panel says what it shows', () => {
  expect(new Set(boards.map(board => board.uid)).size).toBe(boards.length)
  for (const board of boards) {
    const charts = board.panels.filter(panel => panel.type !== 'row')
    expect(new Set(board.panels.map(panel => panel.id)).size).toBe(board.panels.length)
    expect(new Set(charts.map(panel => panel.title)).size, board.title).toBe(charts.length)
  }
  for (const { title, board, description, fieldConfig, targets } of charts) {
    expect(title, board).toMatch(/\S/)
    expect(description, title).toMatch(/^\S.*\.$/)
    expect(fieldConfig?.defaults.unit, title).toMatch(/\S/)
    expect(targets?.length, title).toBeGreaterThan(0)
    expect(new Set(targets?.map(target => target.refId)).size, title).toBe(targets?.length)
    for (const { rawSql, legendFormat } of targets ?? []) expect(rawSql ?? legendFormat, title).toMatch(/\S/)
  }
})

test('streams can be chosen, any number of them, and without a choice it is all', () => {
  const variables = boards.flatMap(({ uid, templating }) => (templating.list ?? []).map(one => [uid, one]))
  expect(variables).toEqual([
    [
      'conveyor',
      expect.objectContaining({
        name: 'stream',
        type: 'query',
        datasource: { type: 'prometheus', uid: 'prometheus' },
        query: expect.objectContaining({ query: 'label_values(messaging_destination_name)' }),
        multi: true,
        includeAll: true,
        allValue: '.*',
        current: expect.objectContaining({ value: ['$__all'] }),
      }),
    ],
  ])
})

test('every metric of the pipeline is that of the streams that are chosen', () => {
  for (const { expr, panel } of targets.filter(({ panel }) => panel.board === 'conveyor')) {
    const selectors = [...expr.matchAll(/\w+(\{[^}]*\})?\[\$__\w+\]/g)].map(([, selector]) => selector ?? '')
    expect(selectors.length, panel.title).toBeGreaterThan(0)
    for (const selector of selectors)
      expect(selector, panel.title).toMatch(
        /[{,](messaging_destination_name=~"\$stream"|span_name=~"process \$stream")[,}]/,
      )
  }
})

test('what is counted in a stream is never the highest of several streams, but their sum', () => {
  // Ages and states: of those the highest is meant.
  const highest = /_age_seconds|_overdue_seconds|_pinned|_backpressure/
  for (const { expr, panel } of targets.filter(({ panel }) => panel.board === 'conveyor')) {
    const maxima = expr.matchAll(/max(?: by \(([^)]*)\))? \((?:last_over_time|deriv)\((\w+)/g)
    for (const [, labels = '', metric = ''] of maxima)
      if (!highest.test(metric)) expect(labels, panel.title).toMatch(/^messaging_destination_name\b/)
  }
})

test('each queue is shown by itself', () => {
  const { panels = [] } = boards.find(({ uid }) => uid === 'conveyor') ?? {}
  const row = panels.findIndex(({ title }) => title === 'Queues')
  const after = panels.slice(row + 1)
  const queues = after.slice(
    0,
    after.findIndex(({ type }) => type === 'row'),
  )
  expect(queues.map(({ title }) => title)).toEqual([
    'Length by queue',
    'In by queue',
    'Processed by queue',
    'Rejected by queue',
    'Idle by queue',
    'Idle by consumer',
  ])
  for (const { title, targets = [] } of queues)
    for (const { expr, legendFormat } of targets) {
      expect(expr, title).toContain(' by (messaging_destination_name')
      expect(legendFormat, title).toMatch(/^\{\{messaging_destination_name\}\}/)
    }
})

test('panels fill lines of 24 columns and do not overlap', () => {
  for (const board of boards) {
    const taken = new Map<string, string>()
    for (const { title, gridPos } of board.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          expect(taken.get(`${x} ${y}`), `${title} in ${board.title}`).toBeUndefined()
          taken.set(`${x} ${y}`, title)
        }
      }
    }
  }
})

const FUNCTIONS = new Set(
  'sum max min avg count rate deriv clamp_min increase max_over_time last_over_time histogram_quantile vector scalar sort_desc or by'.split(
    ' ',
  ),
)
const PREFIXES = /^(redis|otelcol|otel_sdk|traces_span_metrics|nodejs|v8js)_|^up$/
const LABELS = new Set(
  'job instance consumer reason error_type le messaging_destination_name messaging_consumer_group_name messaging_operation_name service_name span_name cmd db stream receiver exporter v8js_gc_type __name__'.split(
    ' ',
  ),
)

test('every metric is one that docs/telemetry.md names, or one of Redis, the Collector or Node.js', () => {
  const documented = new Set(
    [...read('docs/telemetry.md').matchAll(/`([a-z]\w+_\w+)`/g)].map(([, name]) => name),
  )
  for (const { expr, panel } of targets) {
    const names = expr
      .replace(/\{__name__=~"(\w+)[^}]*\}/g, '$1')
      .replace(/\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)/g, '')
      .match(/[a-z_]\w*/gi)
    for (const name of names?.filter(word => !FUNCTIONS.has(word)) ?? []) {
      const histogram = name.replace(/_(bucket|sum|count)$/, '')
      const known = documented.has(name) || documented.has(histogram) || PREFIXES.test(name)
      expect(known, `${name} in ${panel.title}`).toBe(true)
    }
  }
})

test('no query groups or selects by a label that has no end of values', () => {
  for (const { expr, legendFormat, panel } of targets) {
    const groups = [...expr.matchAll(/(?:by|on|ignoring) \(([^)]*)\)/g)].flatMap(([, list]) =>
      (list as string).split(', '),
    )
    const selectors = [...expr.matchAll(/([a-z_]\w*)(?:=~|!~|!=|=)"/gi)].map(([, label]) => label as string)
    const legend = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label as string)
    for (const label of [...groups, ...selectors, ...legend]) expect(LABELS, panel.title).toContain(label)
    for (const label of legend) expect(groups, `${panel.title}: ${legendFormat}`).toContain(label)
  }
})

const noPostgres = LEFT_OUT.some(({ package: name }) => name === 'postgresql')

describe.skipIf(noPostgres)('queries in SQL', () => {
  const on = usePostgres()

  /** What Grafana's macros become, as its documentation has them. */
  const filled = (text: string) =>
    text
      .replace(/\$__timeGroup\((\w+), '(\d+)s'(?:, 0)?\)/g, 'floor(extract(epoch FROM $1) / $2) * $2')
      .replace(
        /\$__timeFilter\((\w+)\)/g,
        "$1 BETWEEN now() - interval '1 hour' AND now() + interval '1 hour'",
      )

  test('each finds what consumers have stored, as the role that Grafana has', async () => {
    await on.server.query(read('postgres/init/1-grafana.sql'))
    const pool = openPool({ url: on.server.url, name: 'test', deadline: 5000 })
    await migrate(pool, 'conveyor')
    const packages = [1, 2, 4].map(n => {
      const id = `1783728000000-${n}`
      const timestamp = Math.floor(Date.now() / 1000) - 3
      const message = {
        entry: id,
        id,
        package: n,
        timestamp,
        payload: { package: n },
        deliveries: 1,
        attempt: 1,
      }
      return { message: { ...message, replays: 0, failures: [] }, result: undefined }
    })
    const origin = { stream: 's', group: 'g', epoch: 'e', consumer: 'c1' }
    await new PostgresSink(pool, 'conveyor').store(packages, origin, new AbortController().signal)
    await pool.end()

    const url = on.server.url.replace('postgres@', 'grafana:grafana@')
    const viewer = openPool({ url, name: 'grafana', deadline: 5000 })
    const found = new Map<string, Record<string, unknown>>()
    for (const { rawSql, panel } of all) {
      if (rawSql === undefined) continue
      const { rows } = await viewer.query(filled(rawSql))
      expect(rows.length, panel.title).toBeGreaterThan(0)
      found.set(panel.title, rows[0])
    }
    await expect(viewer.query('DELETE FROM conveyor.messages')).rejects.toThrow('permission denied')
    await viewer.end()
    expect(found.get('Rows')).toEqual({ rows: '3' })
    expect(found.get('Twice')).toEqual({ twice: '0' })
    expect(found.get('Not in the table')).toEqual({ missing: '1' })
    expect(found.get('Rows by consumer')).toMatchObject({ metric: 'c1' })
    expect(found.get('Newest')).toMatchObject({ consumer: 'c1' })
    expect(found.size).toBe(6)
  })
})
