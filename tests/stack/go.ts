import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export type Log = (line: string) => void

/** A module or one that it needs cannot be had, at least not in this version. */
export class GoFailed extends Error {
  override readonly name = 'GoFailed'
}

/** The time for building is over. */
export class TooLong extends Error {
  override readonly name = 'TooLong'
}

/** Minutes that building may take in all; default no limit. */
const minutes = Number(process.env.STACK_BUILD_MINUTES) || Number.POSITIVE_INFINITY
const end = performance.now() + minutes * 60_000

interface GoOptions {
  readonly cwd?: string
  /** Said every half minute while it runs. */
  readonly still?: () => void
}

/** Runs `go …` and gives what it prints. Rejects with the last lines of its errors. */
export function go(args: readonly string[], { cwd, still }: GoOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const tooLong = new TooLong(`building took longer than STACK_BUILD_MINUTES=${minutes}`)
    const left = end - performance.now()
    if (left <= 0) throw tooLong
    // The tools are plain Go; a published module's workspace file names folders that are not in it. The compiler
    // is done sooner when it collects its garbage less often.
    const env = { GOGC: '400', ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-buildvcs=false' }
    const child = spawn('go', args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    // Its compilers are in its process group.
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {} // it has just ended
    }
    const timer = Number.isFinite(left) ? setTimeout(kill, left) : undefined
    process.once('exit', kill)
    const ticking = still && setInterval(still, 30_000)
    const errors: string[] = []
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
    createInterface({ input: child.stderr }).on('line', line => {
      if (!line.startsWith('go: downloading')) errors.push(line)
      if (errors.length > 20) errors.shift()
    })
    child.on('error', reject)
    child.on('close', code => {
      clearInterval(ticking)
      clearTimeout(timer)
      process.off('exit', kill)
      if (code === 0) resolve(printed)
      else if (performance.now() >= end) reject(tooLong)
      else reject(new GoFailed(`go ${args.slice(0, 3).join(' ')}: ${errors.join('\n')}`))
    })
  })
}

/** The version of the Go toolchain; undefined when there is none. */
export function goVersion(): Promise<string | undefined> {
  return go(['env', 'GOVERSION']).then(
    version => version.trim(),
    () => undefined,
  )
}

/**
 * Versions at which all of the modules are published, from `wanted` downwards, newest first; those before `least`
 * are left out.
 */
export async function publishedUpTo(
  wanted: string,
  modules: readonly string[],
  least = '0.0.0',
): Promise<string[]> {
  const lists = await Promise.all(modules.map(published))
  const [first = [], ...others] = lists
  return first
    .filter(version => others.every(list => list.includes(version)))
    .filter(version => compare(version, wanted) <= 0 && compare(version, least) >= 0)
    .sort((a, b) => compare(b, a))
}

async function published(module: string): Promise<string[]> {
  const { Versions = [] } = JSON.parse(await go(['list', '-m', '-versions', '-json', module])) as {
    Versions?: string[]
  }
  return Versions.filter(version => /^v\d+\.\d+\.\d+$/.test(version)).map(version => version.slice(1))
}

/** Fetches a module's source. Returns its folder, which cannot be written to. */
export async function moduleSource(module: string, version: string): Promise<string> {
  return (JSON.parse(await go(['mod', 'download', '-json', `${module}@v${version}`])) as { Dir: string }).Dir
}

export function compare(a: string, b: string): number {
  const [x, y] = [a, b].map(version => version.split('.').map(Number))
  for (let i = 0; i < 3; i++) {
    const difference = (x?.[i] ?? 0) - (y?.[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
