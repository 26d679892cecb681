import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { findExecutables } from './binary.ts'
import { type RunResult, runCommand } from './run-command.ts'

/** Fetches and compiles Redis. Not a dependency: whoever has a server never needs its 61 packages. */
const BUILDER = 'redis-memory-server@0.17.1'

/** The last line of Redis that builds with nothing but make and a C compiler. */
const VERSION = '7.2.11'

const COMPILE = `
  const { RedisBinary } = require(process.argv[1])
  RedisBinary.getPath().catch(error => {
    console.error(error.message)
    process.exit(1)
  })
`

export class RedisBuildFailed extends Error {
  override readonly name = 'RedisBuildFailed'
}

/** Where a build leaves its server, whether or not there is one yet. */
export function builtServer(cacheDir: string, env: NodeJS.ProcessEnv): string {
  return join(cacheDir, 'redis-build', `redis-server-${env.REDISMS_VERSION ?? VERSION}`)
}

/**
 * Builds a server from source under `<cacheDir>/redis-build` in a minute or two. It needs npm, make, a
 * C compiler and a way to download.redis.io; `REDISMS_DOWNLOAD_MIRROR`, `REDISMS_DOWNLOAD_URL` and
 * `REDISMS_VERSION` of redis-memory-server are honoured. `log` hears of each step and every 15 s.
 *
 * @returns the path of the executable
 * @throws {RedisBuildFailed} naming the tools that are missing, or the first thing that went wrong
 */
export async function buildRedis(
  cacheDir: string,
  { env, log }: { env: NodeJS.ProcessEnv; log: (line: string) => void },
): Promise<string> {
  await requireTools(env)
  const server = builtServer(cacheDir, env)
  const version = env.REDISMS_VERSION ?? VERSION
  await mkdir(join(cacheDir, 'redis-build'), { recursive: true })
  // A folder of its own, because several processes may do this at once; the last one's server stays.
  const workshop = await mkdtemp(join(cacheDir, 'redis-build', 'workshop-'))
  try {
    log(`installing ${BUILDER} from npm`)
    // Its install script would compile at once, unseen and with its own settings.
    const options = ['--ignore-scripts', '--no-save', '--no-package-lock', '--no-audit', '--no-fund']
    const installed = await runCommand('npm', ['install', '--prefix', workshop, ...options, BUILDER], { env })
    if (!installed.ok) throw new RedisBuildFailed(`npm install ${BUILDER}: ${firstError(installed)}`)

    log(`downloading and compiling Redis ${version}; this takes a minute or two`)
    const compiled = await compile(workshop, version, { env, log })
    if (!compiled.ok) throw new RedisBuildFailed(firstError(compiled))
    await rename(join(workshop, 'binaries', version, 'redis-server'), server)
    return server
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
}

async function compile(
  workshop: string,
  version: string,
  { env, log }: { env: NodeJS.ProcessEnv; log: (line: string) => void },
): Promise<RunResult> {
  const started = performance.now()
  const elapsed = () => Math.round((performance.now() - started) / 1_000)
  const ticking = setInterval(() => log(`still compiling, ${elapsed()} s`), 15_000)
  const args = ['-e', COMPILE, join(workshop, 'node_modules', 'redis-memory-server')]
  const result = await runCommand(process.execPath, args, {
    env: compileEnv(workshop, version, env),
    log: line => log(`  ${line}`),
    timeoutMs: 20 * 60_000,
  })
  clearInterval(ticking)
  return result
}

/** What went wrong first; what npm and make print last is only that something did. */
function firstError({ lines, cause }: RunResult): string {
  return lines.find(line => /reason:|\berror:/i.test(line)) ?? cause
}

function compileEnv(workshop: string, version: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { REDISMS_SYSTEM_BINARY: _, ...rest } = env
  return {
    ...rest,
    REDISMS_VERSION: version,
    REDISMS_DOWNLOAD_DIR: join(workshop, 'binaries'),
    // Without this it accepts any certificate for the source that it is about to compile and run.
    npm_config_strict_ssl: 'true',
    // -s: it gives make's output a buffer of 1 MB and kills make when that is full.
    MAKEFLAGS: `-s -j${availableParallelism()}`,
  }
}

async function requireTools(env: NodeJS.ProcessEnv): Promise<void> {
  const missing: string[] = []
  for (const names of [['npm'], ['make'], ['cc', 'gcc']]) {
    const found = await Promise.all(names.map(name => findExecutables(name, env)))
    if (found.flat().length === 0) missing.push(names.at(-1) as string)
  }
  if (missing.length > 0) {
    const verb = missing.length === 1 ? 'is' : 'are'
    throw new RedisBuildFailed(`${missing.join(' and ')} ${verb} missing`)
  }
}
