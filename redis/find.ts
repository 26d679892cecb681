import { randomUUID } from 'node:crypto'
import { mkdir, readlink, rename, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import {
  findExecutables,
  inspectBinary,
  isExecutable,
  isNewEnough,
  MINIMUM_VERSION,
  type RedisBinary,
} from './binary.ts'
import { buildRedis, builtServer, RedisBuildFailed } from './build.ts'
import { askOnTerminal, type InstallPlan, planInstall, runInstall } from './install.ts'

/** Where servers are although PATH of a plain user, or of a process started by a desktop, may not say so. */
const USUAL_FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/opt/homebrew/bin']

const WANTED = `Redis or Valkey server, ${MINIMUM_VERSION} or newer,`

/** There is no usable server, and none could be had. The message is for a person, on several lines. */
export class RedisNotFound extends Error {
  override readonly name = 'RedisNotFound'
  /** What was tried and how it ended, one line a step. */
  readonly tried: readonly string[]
  /** The shell command that would install a server on this system. */
  readonly command: string | undefined

  constructor(tried: readonly string[], command: string | undefined) {
    super(
      `There is no ${WANTED} here, and none could be had. Tried:\n` +
        tried.map(line => `  - ${line}\n`).join('') +
        `${command ? `Install one:\n  ${command}` : 'Install one and start again,'}\n` +
        'or name one that runs elsewhere:\n  REDIS_URL=redis://host:6379',
    )
    this.tried = tried
    this.command = command
  }
}

export interface FindOptions {
  /** Keeps what is built or linked, for the next time. Default: `.conveyor` in the working directory. */
  cacheDir?: string
  /** Gets progress, a line at a time. Default: nowhere. */
  log?: (line: string) => void
  /** Whether a person can be asked. Default: whether standard input and output are terminals. */
  interactive?: boolean
  /** Asks a person a yes/no question. Default: on the terminal. */
  ask?: (question: string) => Promise<boolean>
  /** Its PATH is searched; installers get it whole. Default: the environment of this process. */
  env?: NodeJS.ProcessEnv
  /** Searched after PATH. Default: where package managers and Homebrew put servers. */
  folders?: readonly string[]
  /** Whether this user may install packages without asking. Default: whether it is root. */
  root?: boolean
}

/**
 * Finds a Redis or Valkey server, 7.0 or newer, and gets one if there is none. In order:
 *
 * 1. `redis-server` or `valkey-server` on PATH, in the usual folders, or built earlier;
 * 2. the system's package manager: as root without a question, else after a question to a person
 *    that shows the exact command, else not at all;
 * 3. building it from source (see {@link buildRedis}).
 *
 * A server that is too old is named in `log`, and the search goes on.
 *
 * @throws {RedisNotFound} when no step led to a server
 */
export async function findRedisServer({
  cacheDir = resolve('.conveyor'),
  log = () => {},
  interactive = Boolean(process.stdin.isTTY && process.stdout.isTTY),
  ask = askOnTerminal,
  env = process.env,
  folders = USUAL_FOLDERS,
  root = process.getuid?.() === 0,
}: FindOptions = {}): Promise<RedisBinary> {
  const tried: string[] = []
  const failed = (line: string) => {
    log(line)
    tried.push(line)
  }
  const tooOld = new Set<string>()
  const search = async (): Promise<RedisBinary | undefined> => {
    for await (const binary of candidates(cacheDir, env, folders)) {
      if (isNewEnough(binary)) return binary
      if (tooOld.has(binary.path)) continue
      tooOld.add(binary.path)
      failed(`${binary.path}: version ${binary.version} is too old`)
    }
    return undefined
  }

  const found = await search()
  if (found) return found
  if (tooOld.size === 0) failed('PATH: neither redis-server nor valkey-server')

  const plan = await planInstall(env, root)
  const refusal = await whyNotInstall(plan, interactive ? ask : undefined)
  if (!plan || refusal) {
    failed(`${plan?.manager ?? 'package manager'}: ${refusal}`)
  } else {
    const cause = await runInstall(plan, { env, log })
    const installed = await search()
    if (installed) return installed
    failed(`${plan.manager}: ${cause ?? 'it brought no server that is new enough'}`)
  }

  try {
    const built = await inspectBinary(await buildRedis(cacheDir, { env, log }), env)
    if (built) return built
    failed('building from source: the server that was built does not run')
  } catch (error) {
    if (!(error instanceof RedisBuildFailed)) throw error
    failed(`building from source: ${error.message}`)
  }
  // A package that is too old is no way out.
  throw new RedisNotFound(tried, tooOld.size > 0 ? undefined : plan?.command)
}

/** Why an install plan is not to be carried out, or undefined when it is. */
async function whyNotInstall(
  plan: InstallPlan | undefined,
  ask: ((question: string) => Promise<boolean>) | undefined,
): Promise<string | undefined> {
  if (!plan) return 'none is known here'
  if (plan.hindrance) return plan.hindrance
  if (!plan.asks) return undefined
  if (!ask) return 'not run, there is no terminal to ask on'
  const agreed = await ask(`There is no ${WANTED} here. Install one with this command?\n  ${plan.command}\n`)
  return agreed ? undefined : 'declined'
}

/** Every server there is, best first. */
async function* candidates(
  cacheDir: string,
  env: NodeJS.ProcessEnv,
  folders: readonly string[],
): AsyncGenerator<RedisBinary> {
  const paths: string[] = []
  for (const name of ['redis-server', 'valkey-server']) {
    paths.push(...(await findExecutables(name, env, folders)))
  }
  paths.push(builtServer(cacheDir, env))
  for (const path of paths) {
    const binary = (await isExecutable(path)) && (await inspectBinary(path, env))
    if (binary) yield binary
  }
  for (const kind of ['redis', 'valkey'] as const) {
    for (const checker of await findExecutables(`${kind}-check-rdb`, env, folders)) {
      if (paths.includes(join(dirname(checker), `${kind}-server`))) continue
      const binary = await inspectBinary(await linkServer(cacheDir, kind, checker), env)
      if (binary) yield binary
    }
  }
}

/**
 * The server and its checkers are one executable that goes by the name it is called by. Debian's
 * redis-tools has it as redis-check-rdb only; a link with the right name makes it a server.
 */
async function linkServer(cacheDir: string, kind: 'redis' | 'valkey', checker: string): Promise<string> {
  const folder = join(cacheDir, 'redis-link')
  const link = join(folder, `${kind}-server`)
  if ((await readlink(link).catch(() => undefined)) === checker) return link
  await mkdir(folder, { recursive: true })
  // Renamed into place, because several processes may do this at once.
  const fresh = `${link}.${randomUUID()}`
  await symlink(checker, fresh)
  await rename(fresh, link)
  return link
}
