import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { buildCollector, buildJaeger, buildPrometheus } from './build.ts'
import { componentModules } from './collector-manifest.ts'
import { goVersion, type Log, TooLong } from './go.ts'
import { findRedisExporter } from './redis-exporter.ts'
import { composeServices, versionOf } from './versions.ts'

const run = promisify(execFile)

/** Paths of the programs that docker-compose.yml runs beside the pipeline. */
export interface Binaries {
  readonly collector: string
  readonly jaeger: string
  readonly prometheus: string
  readonly promtool: string
  /** Undefined where it is not installed and cannot be. */
  readonly redisExporter?: string
}

interface Wanted {
  readonly name: string
  readonly version: string
  readonly programs: readonly string[]
  /** Prints something with the version in it. */
  readonly ask: readonly string[]
  /** What it must have been built with to be of use. */
  readonly recipe: string
  readonly build: (dir: string) => Promise<string>
}

/** Where programs are kept that were built once. */
export function cacheDir(env = process.env): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'conveyor', 'stack')
}

/**
 * Finds the programs in the versions of docker-compose.yml, or the nearest that can be built: on the PATH, in the
 * cache, or else from source. Undefined when some are missing and there is no Go to build them.
 */
export async function findBinaries(log: Log): Promise<Binaries | undefined> {
  const services = await composeServices()
  const components = await componentModules()
  const version = (image: string) => versionOf(services, image)
  const collector = version('opentelemetry-collector-contrib')
  const jaeger = version('jaeger')
  const prometheus = version('prometheus')
  const wanted: Wanted[] = [
    {
      name: 'otelcol',
      version: collector,
      programs: ['otelcol-contrib'],
      ask: ['--version'],
      recipe: JSON.stringify(components),
      build: dir => buildCollector(dir, collector, components, log),
    },
    {
      name: 'prometheus',
      version: prometheus,
      programs: ['prometheus', 'promtool'],
      ask: ['--version'],
      recipe: '',
      build: dir => buildPrometheus(dir, prometheus, log),
    },
    {
      name: 'jaeger',
      version: jaeger,
      programs: ['jaeger'],
      ask: ['version'],
      recipe: '',
      build: dir => buildJaeger(dir, jaeger, log),
    },
  ]
  const paths = new Map<string, string>()
  for (const one of wanted) {
    const folder = (await installed(one)) ?? (await cached(one, log)) ?? (await built(one, log))
    if (folder === undefined) return undefined
    for (const program of one.programs) paths.set(program, join(folder, program))
  }
  const path = (program: string) => paths.get(program) as string
  const redisExporter = await findRedisExporter(cacheDir(), log)
  return {
    collector: path('otelcol-contrib'),
    jaeger: path('jaeger'),
    prometheus: path('prometheus'),
    promtool: path('promtool'),
    ...(redisExporter !== undefined && { redisExporter }),
  }
}

/** A folder of the PATH that has the programs in the very version. */
async function installed({ programs, version, ask }: Wanted): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(':').filter(Boolean)) {
    const paths = programs.map(program => join(folder, program))
    const there = await Promise.all(
      paths.map(path =>
        access(path)
          .then(() => true)
          .catch(() => false),
      ),
    )
    if (!there.every(Boolean)) continue
    const { stdout, stderr } = await run(paths[0] as string, [...ask]).catch(() => ({
      stdout: '',
      stderr: '',
    }))
    if (`${stdout}${stderr}`.includes(version)) return folder
  }
  return undefined
}

const folderOf = ({ name, version }: Wanted) => join(cacheDir(), `${name}-${version}`)

/** The version that was built, and what it was built with. */
const NOTE = 'built'

async function cached(one: Wanted, log: Log): Promise<string | undefined> {
  const folder = folderOf(one)
  const note = await readFile(join(folder, NOTE), 'utf8').catch(() => '')
  const [version, recipe = ''] = note.split('\n')
  if (!version || recipe !== one.recipe) return undefined
  if (version !== one.version)
    log(`${one.name} ${version} is the nearest to ${one.version} that could be had`)
  return folder
}

async function built(one: Wanted, log: Log): Promise<string | undefined> {
  if (!(await goVersion())) {
    log(
      `${one.name} ${one.version} is not there, and without Go it cannot be built: what needs it is skipped`,
    )
    return undefined
  }
  await mkdir(cacheDir(), { recursive: true })
  // A folder of its own until it is complete, for several may do this at once.
  const workshop = await mkdtemp(join(cacheDir(), `.${one.name}-`))
  try {
    const version = await one.build(workshop)
    await writeFile(join(workshop, NOTE), `${version}\n${one.recipe}`)
    await rm(folderOf(one), { recursive: true, force: true })
    await rename(workshop, folderOf(one))
  } catch (error) {
    if (!(error instanceof TooLong)) throw error
    log(`${one.name} ${one.version} is not there: ${error.message}; what needs it is skipped`)
    return undefined
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
  return folderOf(one)
}
