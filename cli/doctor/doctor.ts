import { EXIT, withoutPassword } from '@conveyor/service'
import { ConnectionLost, inspect, type Keys, keysOf, RedisError, type StreamState } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { type Colors, colorsOf } from '../colors.ts'
import { type Target, withRedis } from '../options.ts'
import { print } from '../print.ts'
import { type Check, finding, ok } from './check.ts'
import { checkClock } from './clock.ts'
import { checkCollector } from './collector.ts'
import { checkOutput } from './output.ts'
import { checkPermissions } from './permissions.ts'
import { checkServer } from './server.ts'
import { type Beats, checkStream } from './stream.ts'

export interface DoctorOptions extends Target, Beats {
  readonly outputDir?: string
  readonly json: boolean
}

/** What `conveyor doctor --json` prints. */
export interface Diagnosis {
  /** When, by this machine's clock. */
  readonly at: string
  /** URL of Redis, without a password. */
  readonly redis: string
  readonly stream: string
  readonly group: string
  /** Whether Redis answered. */
  readonly reachable: boolean
  /** How many of the checks are findings. */
  readonly findings: number
  readonly checks: readonly Check[]
}

/**
 * Looks at all that a run rests on, and changes none of it.
 *
 * @returns the exit code: 0 fine, 1 findings, 3 Redis cannot be reached
 */
export async function doctor(options: DoctorOptions, out: NodeJS.WriteStream): Promise<number> {
  const diagnosis = await diagnose(options, process.env)
  const text = options.json
    ? JSON.stringify(diagnosis, null, 2)
    : formatDiagnosis(diagnosis, out.columns || 120, colorsOf(out))
  await print(out, `${text}\n`)
  if (!diagnosis.reachable) return EXIT.unreachable
  return diagnosis.findings > 0 ? EXIT.failed : EXIT.ok
}

export async function diagnose(options: DoctorOptions, env: NodeJS.ProcessEnv): Promise<Diagnosis> {
  const { redisUrl, stream, group } = options
  const redis = withoutPassword(redisUrl)
  const { reachable, checks, state } = await checkRedis(options, redis)
  const all = [
    ...checks,
    ...(await checkOutput(options.outputDir || 'consumer_output', keysOf(stream, group), state)),
    await checkCollector(env),
  ]
  const findings = all.filter(({ status }) => status === 'finding').length
  return { at: new Date().toISOString(), redis, stream, group, reachable, findings, checks: all }
}

interface Found {
  readonly reachable: boolean
  readonly checks: readonly Check[]
  readonly state?: StreamState
}

async function checkRedis(options: DoctorOptions, shown: string): Promise<Found> {
  try {
    return await withRedis(options, (redis, keys) => checkAnswering(redis, keys, options, shown))
  } catch (error) {
    if (error instanceof ConnectionLost) {
      const fix = 'start it, or give its address: --redis-url or REDIS_URL'
      return { reachable: false, checks: [finding('redis', error.message, fix)] }
    }
    if (error instanceof RedisError) {
      const fix = 'give user and password in the URL: redis://user:password@host:port'
      return { reachable: true, checks: [finding('redis', `${shown} refuses: ${error.message}`, fix)] }
    }
    throw error
  }
}

async function checkAnswering(redis: Redis, keys: Keys, beats: Beats, shown: string): Promise<Found> {
  const checks = [
    ok('redis', `${shown} answers`),
    ...(await checkServer(redis)),
    await checkPermissions(redis, keys),
    await checkClock(redis),
  ]
  try {
    checks.push(...(await checkStream(redis, keys, beats)))
    return { reachable: true, checks, state: await inspect(redis, keys) }
  } catch (error) {
    if (!(error instanceof RedisError)) throw error
    const fix = 'permissions, above, say what this user lacks; else somebody else uses keys of these names'
    return { reachable: true, checks: [...checks, finding('stream', error.message, fix)] }
  }
}

const STATUS_WIDTH = 9
const ID_WIDTH = 14

/** A diagnosis for people, no line longer than `width` unless a word is. */
export function formatDiagnosis(
  { checks, findings, reachable }: Diagnosis,
  width: number,
  color: Colors,
): string {
  const paint = { ok: color.green, note: color.dim, finding: color.yellow }
  const indent = STATUS_WIDTH + ID_WIDTH
  const lines = checks.flatMap(({ id, status, text, fix }) => [
    `${paint[status](status.padEnd(STATUS_WIDTH))}${id.padEnd(ID_WIDTH)}${folded(text, width, indent)}`,
    ...(fix === undefined
      ? []
      : [`${' '.repeat(indent)}${color.bold('fix:')} ${folded(fix, width, indent + 5)}`]),
  ])
  const verdict = findings === 0 ? color.green('nothing found') : color.yellow(`findings: ${findings}`)
  return [...lines, '', reachable ? verdict : color.red('Redis cannot be reached')].join('\n')
}

/** Text in lines of at most `width` columns, all but the first `indent` columns from the left. */
function folded(text: string, width: number, indent: number): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && indent + last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.join(`\n${' '.repeat(indent)}`)
}
