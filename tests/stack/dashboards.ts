import { readdir, readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { root } from './versions.ts'

interface Panel {
  readonly title?: string
  readonly datasource?: { readonly uid?: string }
  readonly targets?: { readonly expr?: string; readonly datasource?: { readonly uid?: string } }[]
  readonly panels?: Panel[]
}
interface Variable {
  readonly name: string
  readonly type: string
  readonly current?: { readonly value?: unknown }
}
interface Dashboard {
  readonly title: string
  readonly panels: Panel[]
  readonly templating?: { readonly list?: Variable[] }
}

export interface PanelQuery {
  readonly dashboard: string
  readonly panel: string
  /** As Prometheus gets it. */
  readonly expression: string
}

/** What Grafana puts in place of its own variables when a dashboard shows the last minutes. */
const BUILT_IN: Record<string, string> = {
  __rate_interval: '30s',
  __interval: '5s',
  __range: '10m',
}

async function read(): Promise<Dashboard[]> {
  const folder = new URL('grafana/dashboards/', root)
  const names = (await readdir(folder)).filter(name => name.endsWith('.json')).sort()
  return Promise.all(
    names.map(async name => JSON.parse(await readFile(new URL(name, folder), 'utf8')) as Dashboard),
  )
}

const flat = (panels: Panel[]): Panel[] => panels.flatMap(panel => [panel, ...flat(panel.panels ?? [])])

/** Every query to Prometheus of every panel. */
export async function panelQueries(): Promise<PanelQuery[]> {
  return (await read()).flatMap(({ title, panels, templating }) =>
    flat(panels).flatMap(panel =>
      (panel.targets ?? []).flatMap(({ expr }) =>
        expr
          ? [{ dashboard: title, panel: panel.title ?? '', expression: filled(expr, templating?.list ?? []) }]
          : [],
      ),
    ),
  )
}

function filled(expression: string, variables: readonly Variable[]): string {
  return expression.replace(/\$(?:\{(\w+)(?::\w+)?\}|(\w+))/g, (_, braced?: string, plain?: string) => {
    const name = braced ?? plain ?? ''
    const known = BUILT_IN[name]
    if (known !== undefined) return known
    const variable = variables.find(one => one.name === name)
    if (!variable) throw new Error(`${expression}: nothing says what $${name} is`)
    // One that is asked of Prometheus can be anything: `All`.
    return variable.type === 'query' ? '.+' : String(variable.current?.value ?? '')
  })
}

/** Uids of the data sources that panels ask, and of those that exemplars lead to. */
export async function usedDatasources(): Promise<Set<string>> {
  const panels = (await read()).flatMap(dashboard => flat(dashboard.panels))
  const asked = panels.flatMap(({ datasource, targets = [] }) => [
    datasource?.uid,
    ...targets.map(target => target.datasource?.uid),
  ])
  const led = (await provisioned()).flatMap(({ jsonData }) =>
    (jsonData?.exemplarTraceIdDestinations ?? []).map(({ datasourceUid }) => datasourceUid),
  )
  return new Set([...asked, ...led].filter((uid): uid is string => uid !== undefined))
}

export async function provisionedDatasources(): Promise<Set<string>> {
  return new Set((await provisioned()).map(({ uid }) => uid))
}

interface Datasource {
  readonly uid: string
  readonly jsonData?: { readonly exemplarTraceIdDestinations?: { readonly datasourceUid?: string }[] }
}

async function provisioned(): Promise<Datasource[]> {
  const folder = new URL('grafana/provisioning/datasources/', root)
  const names = (await readdir(folder)).filter(name => /\.ya?ml$/.test(name))
  const files = await Promise.all(names.map(name => readFile(new URL(name, folder), 'utf8')))
  return files.flatMap(text => (parse(text) as { datasources: Datasource[] }).datasources)
}
