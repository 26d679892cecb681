import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { append, inspect, keysOf, openStream, packages, type Template } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { from, lastValueFrom } from 'rxjs'
import { end, script, service, whileAlive } from './processes.ts'
import { fillWaiting } from './waiting.ts'

/** What is measured. */
export interface Variant {
  readonly stream: string
  /** Consumers; default 1. */
  readonly count?: number
  /** Variables of the consumers, besides those that every round sets. */
  readonly env?: NodeJS.ProcessEnv
  /** With the SDK, which is told this. */
  readonly telemetry?: NodeJS.ProcessEnv | undefined
  /** Without an output directory: the script of this folder that is run, and its further arguments. */
  readonly loop?: readonly string[]
  /** Called with the first consumer's process id now and then. */
  readonly look?: (pid: number) => Promise<void>
  /** Messages of the group that wait for a retry, besides. */
  readonly waiting?: number
}

/** A sampled trace context, as a producer sends it along. */
const TRACED = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }

export interface FillOptions {
  /** How many of the packages of a request are in a sampled trace; `from` is the first of them, counted from 0. */
  readonly traced?: (from: number) => number
  /** Bytes that a package has besides. */
  readonly bytes?: number
}

/** Of each second request of 500 packages, one. */
export const oneInThousand = (from: number): number => (from % 1000 < 500 ? 1 : 0)

/** Bytes of packages in one request, at most. */
const REQUEST_BYTES = 1024 * 1024

/** Fills a stream with `total` packages. */
export async function fill(
  url: string,
  stream: string,
  total: number,
  { traced = () => 0, bytes = 0 }: FillOptions = {},
): Promise<void> {
  const keys = keysOf(stream, 'fill')
  const more = bytes > 0 ? { filler: 'x'.repeat(bytes) } : {}
  const each = Math.max(1, Math.min(500, Math.floor(REQUEST_BYTES / Math.max(1, bytes))))
  function* requests(): Generator<Template[]> {
    for (let at = 0; at < total; at += each) {
      const sampled = traced(at)
      const templates = [
        { ...packages(sampled, Date.now(), more), headers: TRACED },
        packages(each - sampled, Date.now(), more),
      ]
      yield templates.filter(({ count }) => count > 0)
    }
  }
  await lastValueFrom(from(requests()).pipe(append({ url, keys, groups: ['fill'], last: total })))
}

/**
 * Messages per second of consumers that are already running when a backlog of `total` comes up, from the
 * first message settled to the last. Ours are done when the last line is on disk; without an output directory
 * it is a bare loop.
 */
export async function consumeRound(
  redis: Redis,
  url: string,
  round: string,
  total: number,
  { stream, count = 1, env, telemetry, waiting = 0, loop = ['bare-consume'], look }: Variant,
  outputDir: string | undefined,
): Promise<number> {
  const group = `g${round}`
  const keys = keysOf(stream, group)
  await openStream(redis, keys, [group])
  await redis.xgroup('SETID', stream, group, '$')
  if (waiting > 0) await fillWaiting(redis, keys, waiting)
  const children: ChildProcess[] = Array.from({ length: count }, (_, n) =>
    outputDir === undefined
      ? script(loop[0] as string, [url, stream, group, ...loop.slice(1)])
      : service('consumer', {
          env: { ...consumerEnv(url, stream, group, `c${n}`, `${outputDir}/${stream}_${round}`), ...env },
          telemetry,
        }),
  )
  const measured = async () => {
    await until(async () => (await readers(redis)) === count)
    await redis.call('XGROUP', 'SETID', stream, group, '0', 'ENTRIESREAD', '0')
    let started = 0
    let looks = 0
    await until(async () => {
      const settled = await settledBy(redis, stream, group)
      if (settled > 0 && started === 0) started = performance.now()
      if (look && looks++ % 20 === 0) await look(children[0]?.pid as number)
      return settled >= total
    }, 5)
    const written = async () => (await inspect(redis, keys)).unflushed === 0
    if (outputDir !== undefined) await until(written, 5)
    return total / ((performance.now() - started) / 1000)
  }
  try {
    return await whileAlive(children, measured())
  } finally {
    await end(children, 'SIGKILL')
    await redis.unlink(keys.retry, keys.waiting, keys.history)
  }
}

/** Messages per second appended, flat out, between the first tenth of `total` and its end. */
export async function produceRound(
  redis: Redis,
  url: string,
  round: string,
  total: number,
  { stream: prefix }: Variant,
  bare = false,
): Promise<number> {
  const stream = `${prefix}_${round}`
  const child = bare
    ? script('bare-produce', [url, stream])
    : service('producer', { env: producerEnv(url, stream) })
  const measured = async () => {
    await until(async () => (await redis.xlen(stream)) >= total / 10, 5)
    const [first, started] = [await redis.xlen(stream), performance.now()]
    await until(async () => (await redis.xlen(stream)) >= total, 5)
    return ((await redis.xlen(stream)) - first) / ((performance.now() - started) / 1000)
  }
  try {
    return await whileAlive([child], measured())
  } finally {
    await end([child], 'SIGKILL')
    await redis.unlink(stream)
  }
}

export function consumerEnv(
  url: string,
  stream: string,
  group: string,
  id: string,
  outputDir: string,
): NodeJS.ProcessEnv {
  return {
    REDIS_URL: url,
    STREAM: stream,
    GROUP: group,
    OUTPUT_DIR: outputDir,
    CONSUMER_ID: id,
    HEALTH_PORT: '0',
  }
}

/** Of a producer that nothing holds back. */
export function producerEnv(url: string, stream: string): NodeJS.ProcessEnv {
  return {
    REDIS_URL: url,
    STREAM: stream,
    RATE: 'max',
    PORT: '0',
    MAX_BACKLOG: '1000000000',
    TRIM_INTERVAL_MS: '3600000',
  }
}

/** Connections that wait in XREADGROUP. */
async function readers(redis: Redis): Promise<number> {
  return ((await redis.client('LIST')) as string).split('\n').filter(line => / cmd=xreadgroup /.test(line))
    .length
}

/** Entries delivered to a group and acknowledged. */
export async function settledBy(redis: Redis, stream: string, group: string): Promise<number> {
  for (const row of (await redis.xinfo('GROUPS', stream)) as unknown[][]) {
    const fields = new Map<unknown, unknown>()
    for (let i = 0; i < row.length; i += 2) fields.set(row[i], row[i + 1])
    if (fields.get('name') === group)
      return Number(fields.get('entries-read')) - Number(fields.get('pending'))
  }
  return 0
}

export async function until(condition: () => Promise<boolean>, interval = 20): Promise<void> {
  while (!(await condition())) await sleep(interval)
}
