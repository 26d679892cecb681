import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { append, inspect, keysOf, openStream, packages } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { from, lastValueFrom } from 'rxjs'
import { end, script, service, whileAlive } from './processes.ts'
import { fillWaiting } from './retries.ts'

/** Something that consumes or produces, to be measured beside others. */
export interface Contender {
  readonly name: string
  /** Messages per second of each round. */
  readonly rates: number[]
}

/** What is measured. */
export interface Variant {
  readonly stream: string
  /** Consumers; default 1. */
  readonly count?: number
  /** Variables of the consumers, besides those that every round sets. */
  readonly env?: NodeJS.ProcessEnv
  /** Messages of the group that wait for a retry, besides. */
  readonly waiting?: number
}

/** A sampled trace context, as a producer sends it along. */
const TRACED = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }

/** Fills a stream with `total` packages; `traced` says how many of the 500 from a number on are in a sampled trace. */
export async function fill(
  url: string,
  stream: string,
  total: number,
  traced: (from: number) => number = () => 0,
): Promise<void> {
  const keys = keysOf(stream, 'fill')
  const requests = Array.from({ length: Math.ceil(total / 500) }, (_, n) => {
    const sampled = traced(n * 500)
    return [{ ...packages(sampled), headers: TRACED }, packages(500 - sampled)].filter(
      ({ count }) => count > 0,
    )
  })
  await lastValueFrom(from(requests).pipe(append({ url, keys, groups: ['fill'], last: total })))
}

/**
 * Messages per second of consumers that are already running when a backlog of `total` comes up, from the
 * first message settled to the last. Ours are done when the last line is on disk; without an output directory
 * it is the bare loop.
 */
export async function consumeRound(
  redis: Redis,
  url: string,
  round: string,
  total: number,
  { stream, count = 1, env, waiting = 0 }: Variant,
  outputDir: string | undefined,
): Promise<number> {
  const group = `g${round}`
  const keys = keysOf(stream, group)
  await openStream(redis, keys, [group])
  await redis.xgroup('SETID', stream, group, '$')
  if (waiting > 0) await fillWaiting(redis, keys, waiting)
  const children: ChildProcess[] = Array.from({ length: count }, (_, n) =>
    outputDir === undefined
      ? script('bare-consume', [url, stream, group])
      : service('consumer', {
          ...consumerEnv(url, stream, group, `c${n}`, `${outputDir}/${stream}_${round}`),
          ...env,
        }),
  )
  const measured = async () => {
    await until(async () => (await readers(redis)) === count)
    await redis.call('XGROUP', 'SETID', stream, group, '0', 'ENTRIESREAD', '0')
    let started = 0
    await until(async () => {
      const settled = await settledBy(redis, stream, group)
      if (settled > 0 && started === 0) started = performance.now()
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
  const child = bare ? script('bare-produce', [url, stream]) : service('producer', producerEnv(url, stream))
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
