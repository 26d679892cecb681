import { readFile } from 'node:fs/promises'
import { parse, stringify } from 'yaml'
import { root } from './versions.ts'

const CORE = 'go.opentelemetry.io/collector'
const CONTRIB = 'github.com/open-telemetry/opentelemetry-collector-contrib'

/** The Go modules of what otel-collector/config.yaml uses. */
const MODULES = {
  receivers: { otlp: `${CORE}/receiver/otlpreceiver` },
  processors: { memory_limiter: `${CORE}/processor/memorylimiterprocessor` },
  exporters: {
    otlp_grpc: `${CORE}/exporter/otlpexporter`,
    prometheus: `${CONTRIB}/exporter/prometheusexporter`,
  },
  connectors: { span_metrics: `${CONTRIB}/connector/spanmetricsconnector` },
  extensions: { health_check: `${CONTRIB}/extension/healthcheckextension` },
} as const satisfies Record<string, Record<string, string>>

type Kind = keyof typeof MODULES
export type Components = Record<Kind, string[]>

export const BUILDER = `${CORE}/cmd/builder`

/** The modules of the components that the configuration uses, by kind. */
export async function componentModules(): Promise<Components> {
  const text = await readFile(new URL('otel-collector/config.yaml', root), 'utf8')
  const config = parse(text) as Record<Kind, Record<string, unknown> | undefined>
  const modules = Object.entries(MODULES).map(([kind, known]: [string, Record<string, string>]) => {
    const types = new Set(Object.keys(config[kind as Kind] ?? {}).map(id => id.split('/')[0] ?? ''))
    return [kind, [...types].map(type => moduleOf(kind, type, known))]
  })
  return Object.fromEntries(modules) as Components
}

function moduleOf(kind: string, type: string, known: Record<string, string>): string {
  const module = known[type]
  if (!module) throw new Error(`collector-manifest.ts does not know which Go module has ${type} of ${kind}`)
  return module
}

/** What the Collector's builder builds from: these components and nothing else. */
export function manifest(components: Components, version: string, outputPath: string): string {
  const gomods = Object.entries(components).map(([kind, modules]) => [
    kind,
    modules.map(module => ({ gomod: `${module} v${version}` })),
  ])
  return stringify({
    dist: {
      module: 'conveyor.invalid/otelcol',
      name: 'otelcol-contrib',
      description: 'The OpenTelemetry Collector, with what otel-collector/config.yaml uses',
      version,
      output_path: outputPath,
    },
    ...Object.fromEntries(gomods),
  })
}
