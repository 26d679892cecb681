import { answer, RedisError } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { type Check, finding, note, ok } from './check.ts'
import { bytes } from './units.ts'

/** What a server says of itself; empty where it does not. */
interface Server {
  readonly info: ReadonlyMap<string, string>
  readonly config: ReadonlyMap<string, string>
}

/** The server itself: is it new enough, does it keep what it is told, may it evict? */
export async function checkServer(redis: Redis): Promise<Check[]> {
  const server: Server = {
    info: infoOf(await allowed(redis.info(), '')),
    config: configOf(await allowed(redis.config('GET', 'appendfsync') as Promise<string[]>, [])),
  }
  return [
    checkVersion(server),
    await checkFeatures(redis),
    checkRole(server),
    ...checkPersistence(server),
    ...checkMemory(server),
  ]
}

/** What is asked for, or `otherwise` when a managed or restricted server does not answer that. */
async function allowed<T>(call: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await answer(call)
  } catch (error) {
    if (error instanceof RedisError) return otherwise
    throw error
  }
}

function infoOf(text: string): Map<string, string> {
  const lines = text.split(/\r?\n/).filter(line => line.includes(':'))
  return new Map(lines.map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
}

function configOf(flat: readonly string[]): Map<string, string> {
  const map = new Map<string, string>()
  for (let i = 0; i + 1 < flat.length; i += 2) map.set(flat[i] as string, flat[i + 1] as string)
  return map
}

/** The oldest Redis that the scripts run on. */
const OLDEST = [7, 0] as const

export function checkVersion({ info }: Server): Check {
  const valkey = info.get('valkey_version')
  const version = info.get('redis_version') // a Valkey says here which Redis it is compatible with
  if (version === undefined) {
    const fix = 'redis-cli ACL SETUSER <user> +info'
    return finding('version', 'not known: INFO is not allowed to this user, and the scripts use it, too', fix)
  }
  const name = valkey ? `Valkey ${valkey}` : `Redis ${version}`
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return ok('version', name)
  return finding(
    'version',
    `${name} is too old: the scripts need ${OLDEST.join('.')}`,
    'install a newer Redis',
  )
}

/** Newer commands, by the release that brought them: what is in their documentation. None is needed. */
const FEATURES: [command: string, word: string, name: string][] = [
  ['XINFO|CONSUMERS', '7.2.0', 'XINFO CONSUMERS with inactive times (7.2)'],
  ['XACKDEL', 'xackdel', 'XACKDEL (8.2)'],
  ['XREADGROUP', 'CLAIM', 'XREADGROUP CLAIM (8.4)'],
]

async function checkFeatures(redis: Redis): Promise<Check> {
  const docs = async (command: string) =>
    JSON.stringify(await allowed(redis.call('COMMAND', 'DOCS', command) as Promise<unknown>, []))
  if ((await docs('PING')) === '[]') return note('features', 'not known: COMMAND DOCS is not allowed')
  const there: string[] = []
  for (const [command, word, name] of FEATURES)
    if ((await docs(command)).includes(`"${word}`)) there.push(name)
  return note('features', `${there.join(', ') || 'none of the newer ones'}; none is needed`)
}

function checkRole({ info }: Server): Check {
  const role = info.get('role')
  if (role === undefined) return note('role', 'not known: INFO is not allowed')
  if (role === 'master') return ok('role', 'takes writes')
  const primary = `${info.get('master_host')}:${info.get('master_port')}`
  return finding('role', `a replica of ${primary}: it refuses writes`, `use --redis-url redis://${primary}`)
}

function checkPersistence({ info, config }: Server): Check[] {
  const aof = info.get('aof_enabled')
  if (aof === undefined) return [note('persistence', 'not known: INFO is not allowed')]
  if (aof !== '1') {
    const fix = 'redis-cli CONFIG SET appendonly yes, then CONFIG REWRITE (or appendonly yes in redis.conf)'
    return [finding('persistence', 'appendonly is off: a restart loses what was not yet in a snapshot', fix)]
  }
  if (info.get('aof_last_write_status') === 'err') {
    const text = 'the last write to the append-only file failed: Redis refuses writes'
    return [finding('persistence', text, 'make room on its disk; its log says what is wrong')]
  }
  return [ok('persistence', 'appendonly yes'), checkFsync(config.get('appendfsync'))]
}

function checkFsync(appendfsync: string | undefined): Check {
  if (appendfsync === undefined) return note('appendfsync', 'not known: CONFIG is not allowed')
  if (appendfsync === 'always') return ok('appendfsync', 'always: what Redis answered is on disk')
  const lost = appendfsync === 'everysec' ? 'a second' : 'half a minute or more'
  return finding(
    'appendfsync',
    `${appendfsync}: a power cut loses up to ${lost}; packages are given out again then`,
    'redis-cli CONFIG SET appendfsync always, then CONFIG REWRITE; or accept it: docs/guarantees.md says what it means',
  )
}

/** Part of the memory in use from which it is about to end. */
const NEARLY_FULL = 0.9

function checkMemory({ info }: Server): Check[] {
  const policy = info.get('maxmemory_policy')
  if (policy === undefined) return [note('memory', 'not known: INFO is not allowed')]
  const [used, most] = [Number(info.get('used_memory')), Number(info.get('maxmemory'))]
  const size = `${bytes(used)} used${most > 0 ? ` of ${bytes(most)}` : ', no limit'}`
  const checks: Check[] = []
  if (policy !== 'noeviction') {
    const fix = 'redis-cli CONFIG SET maxmemory-policy noeviction, then CONFIG REWRITE'
    checks.push(finding('eviction', `maxmemory-policy ${policy}: Redis may delete the stream's keys`, fix))
  } else checks.push(ok('eviction', 'maxmemory-policy noeviction'))
  if (most > 0 && used > NEARLY_FULL * most) {
    const fix = 'redis-cli CONFIG SET maxmemory <more>, or find out what fills it: redis-cli --bigkeys'
    checks.push(finding('memory', `${size}: the producer stops when it is full`, fix))
  } else checks.push(ok('memory', size))
  return checks
}
