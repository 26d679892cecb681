import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BUILDER, type Components, manifest } from './collector-manifest.ts'
import { GoFailed, go, type Log, moduleSource, publishedUpTo } from './go.ts'

/** Smaller, and linked in less time. */
const LINK = ['-trimpath', '-ldflags=-s -w']

interface Build {
  readonly title: string
  /** The version that is asked for. */
  readonly wanted: string
  /** Versions that may be built, the best one first. */
  readonly versions: readonly string[]
  readonly build: (version: string, still: () => void) => Promise<void>
  readonly log: Log
}

/**
 * Builds the newest version that can be had. Some are published while one of the modules that they need is not,
 * which shows only when it is fetched. Returns the version that it was.
 */
async function buildNewest({ title, wanted, versions, build, log }: Build): Promise<string> {
  const failures: string[] = []
  for (const version of versions.slice(0, 5)) {
    const started = performance.now()
    const seconds = () => Math.round((performance.now() - started) / 1000)
    log(`building ${title} ${version} (some minutes, once) …`)
    try {
      await build(version, () => log(`still building ${title}, ${seconds()} s`))
    } catch (error) {
      if (!(error instanceof GoFailed)) throw error
      failures.push(`${version}: ${error.message}`)
      log(`${title} ${version} cannot be built: ${reason(error)}`)
      continue
    }
    const instead = version === wanted ? '' : `, the nearest to ${wanted} that can be had`
    log(`${title} ${version} built in ${seconds()} s${instead}`)
    return version
  }
  throw new Error(`${title} ${wanted}: no version can be built\n${failures.join('\n')}`)
}

const reason = ({ message }: Error) =>
  (message.split('\n').find(line => line.includes('@v')) ?? message).slice(0, 200)

/** Builds the Collector with these components into `dir`. */
export async function buildCollector(
  dir: string,
  wanted: string,
  components: Components,
  log: Log,
): Promise<string> {
  const versions = await publishedUpTo(wanted, [BUILDER, ...Object.values(components).flat()])
  const workshop = await mkdtemp(join(tmpdir(), 'conveyor-otelcol-'))
  return buildNewest({
    title: 'the OpenTelemetry Collector',
    wanted,
    versions,
    log,
    build: async (version, still) => {
      const output = join(workshop, version)
      await mkdir(output)
      const config = join(workshop, `${version}.yaml`)
      await writeFile(config, manifest(components, version, output))
      await go(['run', `${BUILDER}@v${version}`, '--config', config], { still })
      await copyFile(join(output, 'otelcol-contrib'), join(dir, 'otelcol-contrib'))
    },
  }).finally(() => rm(workshop, { recursive: true, force: true }))
}

/** Builds Prometheus and promtool into `dir`, without its pages and without the discovery of clouds. */
export function buildPrometheus(dir: string, wanted: string, log: Log): Promise<string> {
  const module = 'github.com/prometheus/prometheus'
  // Prometheus 3.16.0 is the module's version 0.316.0.
  const [major = 0, minor = 0, patch = 0] = wanted.split('.').map(Number)
  const release = (version: string) => {
    const [, number = 0, patch = 0] = version.split('.').map(Number)
    return `${Math.floor(number / 100)}.${number % 100}.${patch}`
  }
  return publishedUpTo(`0.${major * 100 + minor}.${patch}`, [module], `0.${major * 100}.0`).then(versions => {
    const modules = new Map(versions.map(version => [release(version), version]))
    return buildNewest({
      title: 'Prometheus',
      wanted,
      versions: [...modules.keys()],
      log,
      build: async (version, still) => {
        const cwd = await moduleSource(module, modules.get(version) ?? '')
        const named = `-ldflags=-s -w -X github.com/prometheus/common/version.Version=${version}`
        const tags = ['-tags', 'netgo,remove_all_sd']
        const commands = ['./cmd/prometheus', './cmd/promtool']
        await go(['build', '-trimpath', named, ...tags, '-o', `${dir}/`, ...commands], { cwd, still })
      },
    })
  })
}

/** Builds Jaeger into `dir`, without its pages. */
export function buildJaeger(dir: string, wanted: string, log: Log): Promise<string> {
  const module = 'github.com/jaegertracing/jaeger'
  // The module's version 1.76.0 has Jaeger 2.13.0 in cmd/jaeger, and 1.63.0 has 2.0.0.
  const shift = (version: string, majors: number, minors: number) => {
    const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
    return `${major + majors}.${minor + minors}.${patch}`
  }
  return publishedUpTo(shift(wanted, -1, 63), [module], '1.63.0').then(versions =>
    buildNewest({
      title: 'Jaeger',
      wanted,
      versions: versions.map(version => shift(version, 1, -63)),
      log,
      build: async (version, still) => {
        const cwd = await moduleSource(module, shift(version, -1, 63))
        await go(['build', ...LINK, '-o', join(dir, 'jaeger'), './cmd/jaeger'], { cwd, still })
      },
    }),
  )
}
