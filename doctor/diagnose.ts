import { withoutPassword } from '@conveyor/service'
import {
  ConnectionLost,
  connect,
  inspect,
  type Keys,
  keysOf,
  RedisError,
  type StreamState,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { type Check, finding, ok } from './check.ts'
import { checkClock } from './clock.ts'
import { checkCollector } from './collector.ts'
import { checkOutput } from './output.ts'
import { checkPermissions } from './permissions.ts'
import { checkServer } from './server.ts'
import { type Beats, checkStream } from './stream.ts'

export interface DiagnoseOptions extends Beats {
  readonly redisUrl: string
  readonly stream: string
  readonly group: string
  readonly outputDir?: string
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

/** Looks at all that a run rests on, and changes none of it. */
export async function diagnose(options: DiagnoseOptions, env: NodeJS.ProcessEnv): Promise<Diagnosis> {
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

async function checkRedis(options: DiagnoseOptions, shown: string): Promise<Found> {
  try {
    const redis = await connect(options.redisUrl, 'conveyor-doctor')
    try {
      return await checkAnswering(redis, keysOf(options.stream, options.group), options, shown)
    } finally {
      redis.disconnect()
    }
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
