import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import type { Binaries } from './binaries.ts'
import { JaegerApi } from './jaeger-api.ts'
import { freePort } from './ports.ts'
import { PrometheusApi } from './prometheus-api.ts'
import { Tool } from './tool.ts'
import { commandOf, composeServices, environmentOf, root, serviceOf } from './versions.ts'

const path = (name: string) => fileURLToPath(new URL(name, root))

export interface StackOptions {
  readonly binaries: Binaries
  /** The Redis that the exporter looks at. */
  readonly redisUrl: string
  /** Further variables for the Collector. */
  readonly collectorEnv?: NodeJS.ProcessEnv
}

/** Collector, Jaeger, Prometheus and the Redis exporter, on the configuration files of the repository. */
export class Stack {
  private constructor(
    private readonly dir: string,
    /** Where the Collector takes OTLP over gRPC, and over HTTP. */
    readonly otlp: { readonly grpc: string; readonly http: string },
    readonly collector: Tool,
    /** The Collector's own metrics. */
    readonly collectorMetrics: string,
    private readonly others: readonly Tool[],
    readonly jaeger: JaegerApi,
    readonly prometheus: PrometheusApi,
    readonly hasRedisExporter: boolean,
  ) {}

  static async start({ binaries, redisUrl, collectorEnv = {} }: StackOptions): Promise<Stack> {
    const dir = await mkdtemp(join(tmpdir(), 'conveyor-stack-'))
    const tools: Tool[] = []
    const begin = async (starting: Promise<Tool>) => {
      const tool = await starting
      tools.push(tool)
      return tool
    }
    try {
      const ports = await portsOf()
      const jaeger = begin(startJaeger(binaries.jaeger, ports, dir))
      const exporter =
        binaries.redisExporter && begin(startRedisExporter(binaries.redisExporter, redisUrl, ports, dir))
      const collector = begin(startCollector(binaries.collector, ports, dir, collectorEnv))
      const prometheus = begin(startPrometheus(binaries.prometheus, ports, dir))
      const results = await Promise.allSettled([jaeger, exporter, collector, prometheus])
      for (const result of results) if (result.status === 'rejected') throw result.reason
      const ofCollector = await collector
      return new Stack(
        dir,
        { grpc: local(ports.otlp), http: local(ports.otlpHttp) },
        ofCollector,
        `${local(ports.collector)}/metrics`,
        tools.filter(tool => tool !== ofCollector),
        new JaegerApi(local(ports.jaeger)),
        new PrometheusApi(local(ports.prometheus)),
        exporter !== undefined,
      )
    } catch (error) {
      await Promise.all(tools.map(tool => tool.stop()))
      throw error
    }
  }

  /** Variables with which a service sends to this Collector. */
  get env(): NodeJS.ProcessEnv {
    return { OTEL_EXPORTER_OTLP_ENDPOINT: this.otlp.grpc, OTEL_METRIC_EXPORT_INTERVAL: '1000' }
  }

  /** For people: what the parts said last. */
  explain(): string {
    return [this.collector, ...this.others].map(tool => tool.lastWords()).join('\n')
  }

  /** Ends what was started, and removes what it left. */
  async close(): Promise<void> {
    await Promise.all([this.collector, ...this.others].map(tool => tool.stop()))
    await rm(this.dir, { recursive: true, force: true, maxRetries: 10 })
  }
}

const local = (port: number) => `http://127.0.0.1:${port}`
const at = (port: number) => `127.0.0.1:${port}`

type Ports = Awaited<ReturnType<typeof portsOf>>

async function portsOf() {
  return {
    otlp: await freePort(),
    otlpHttp: await freePort(),
    exposition: await freePort(),
    collectorHealth: await freePort(),
    collector: await freePort(),
    jaeger: await freePort(),
    jaegerOtlp: await freePort(),
    jaegerGrpc: await freePort(),
    jaegerHealth: await freePort(),
    jaegerMetrics: await freePort(),
    prometheus: await freePort(),
    redisExporter: await freePort(),
  }
}

function startCollector(command: string, ports: Ports, dir: string, env: NodeJS.ProcessEnv): Promise<Tool> {
  return Tool.start({
    name: 'otel-collector',
    command,
    args: ['--config', path('otel-collector/config.yaml')],
    cwd: dir,
    health: local(ports.collectorHealth),
    env: {
      OTLP_GRPC_ENDPOINT: at(ports.otlp),
      OTLP_HTTP_ENDPOINT: at(ports.otlpHttp),
      PROMETHEUS_EXPORTER_ENDPOINT: at(ports.exposition),
      HEALTH_ENDPOINT: at(ports.collectorHealth),
      COLLECTOR_METRICS_HOST: '127.0.0.1',
      COLLECTOR_METRICS_PORT: String(ports.collector),
      JAEGER_ENDPOINT: at(ports.jaegerOtlp),
      ...env,
    },
  })
}

function startJaeger(command: string, ports: Ports, dir: string): Promise<Tool> {
  return Tool.start({
    name: 'jaeger',
    command,
    args: ['--config', path('jaeger/config.yaml')],
    cwd: dir,
    health: `${local(ports.jaegerHealth)}/status`,
    env: {
      JAEGER_OTLP_ENDPOINT: at(ports.jaegerOtlp),
      JAEGER_UI_ENDPOINT: at(ports.jaeger),
      JAEGER_QUERY_GRPC_ENDPOINT: at(ports.jaegerGrpc),
      JAEGER_HEALTH_ENDPOINT: at(ports.jaegerHealth),
      JAEGER_METRICS_HOST: '127.0.0.1',
      JAEGER_METRICS_PORT: String(ports.jaegerMetrics),
    },
  })
}

async function startRedisExporter(
  command: string,
  redisUrl: string,
  ports: Ports,
  dir: string,
): Promise<Tool> {
  const { REDIS_PASSWORD: _, ...settings } = environmentOf(
    serviceOf(await composeServices(), 'redis_exporter'),
  )
  return Tool.start({
    name: 'redis-exporter',
    command,
    args: [],
    cwd: dir,
    health: `${local(ports.redisExporter)}/health`,
    env: {
      ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, withDefaults(value)])),
      REDIS_ADDR: redisUrl,
      REDIS_EXPORTER_WEB_LISTEN_ADDRESS: at(ports.redisExporter),
    },
  })
}

/** `${NAME:-default}` as Compose reads it where nothing is set. */
const withDefaults = (value: string) => value.replace(/\$\{\w+:?-([^}]*)\}/g, '$1')

async function startPrometheus(command: string, ports: Ports, dir: string): Promise<Tool> {
  const data = join(dir, 'prometheus')
  await mkdir(data)
  const file = join(dir, 'prometheus.yml')
  await writeFile(file, await prometheusConfig(ports))
  const flags = commandOf(serviceOf(await composeServices(), 'prometheus'))
  return Tool.start({
    name: 'prometheus',
    command,
    args: [
      ...flags.filter(flag => !/^--(config\.|storage\.|web\.)/.test(flag)),
      `--config.file=${file}`,
      `--storage.tsdb.path=${data}`,
      `--web.listen-address=${at(ports.prometheus)}`,
    ],
    cwd: dir,
    health: `${local(ports.prometheus)}/-/ready`,
  })
}

interface PrometheusConfig {
  global: Record<string, string>
  rule_files: string[]
  scrape_configs: { static_configs: { targets: string[] }[] }[]
}

/** prometheus/prometheus.yml with the addresses that are in use here, and in a hurry. */
async function prometheusConfig(ports: Ports): Promise<string> {
  const config = parse(await readFile(path('prometheus/prometheus.yml'), 'utf8')) as PrometheusConfig
  config.global = { ...config.global, scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' }
  config.rule_files = config.rule_files.map(file => path(`prometheus/${file}`))
  const addresses = new Map([
    ['otel-collector:8889', ports.exposition],
    ['otel-collector:8888', ports.collector],
    ['redis-exporter:9121', ports.redisExporter],
    ['jaeger:8888', ports.jaegerMetrics],
    ['localhost:9090', ports.prometheus],
  ])
  for (const { static_configs } of config.scrape_configs) {
    for (const one of static_configs) {
      one.targets = one.targets.map(target => {
        const port = addresses.get(target)
        if (port === undefined)
          throw new Error(`nothing is started for the target ${target} of prometheus.yml`)
        return at(port)
      })
    }
  }
  return stringify(config)
}
