import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { append, inspect, keysOf, openStream, packages } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { from, lastValueFrom } from 'rxjs'
import { end, script, service } from './processes.ts'

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
  /** With the SDK, and what it is told. */
  readonly telemetry?: NodeJS.ProcessEnv
}

/** A sampled trace context, as a producer sends it along. */
const TRACED = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }

/** Fills a stream with `total` packages, of which `traced` in each 500 belong to a sampled trace. */
export async function fill(url: string, stream: string, total: number, traced = 0): Promise<void> {
  const keys = keysOf(stream, 'fill')
  const request = [{ ...packages(traced), headers: TRACED }, packages(500 - traced)].filter(
    ({ count }) => count > 0,
  )
  const requests = Array.from({ length: Math.ceil(total / 500) }, () => request)
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
  { stream, count = 1, telemetry }: Variant,
  outputDir: string | undefined,
): Promise<number> {
  const group = `g${round}`
  const keys = keysOf(stream, group)
  await openStream(redis, keys, [group])
  await redis.xgroup('SETID', stream, group, '$')
  const children: ChildProcess[] = Array.from({ length: count }, (_, n) =>
    outputDir === undefined
      ? script('bare-consume', [url, stream, group])
      : service(
          'consumer',
          {
            REDIS_URL: url,
            STREAM: stream,
            GROUP: group,
            OUTPUT_DIR: `${outputDir}/${round}`,
            CONSUMER_ID: `c${n}`,
            HEALTH_PORT: '0',
          },
          telemetry,
        ),
  )
  try {
    await until(async () => (await readers(redis)) === count)
    await redis.call('XGROUP', 'SETID', stream, group, '0', 'ENTRIESREAD', '0')
    let started = 0
    await until(async () => {
      const settled = await settledBy(redis, stream, group)
      if (settled > 0 && started === 0) started = performance.now()
      return settled >= total
    }, 5)
    if (outputDir !== undefined) await until(async () => (await inspect(redis, keys)).drained, 5)
    return total / ((performance.now() - started) / 1000)
  } finally {
    await end(children, 'SIGKILL')
  }
}

/** Messages per second appended, flat out, between the first tenth of `total` and its end. */
export async function produceRound(
  redis: Redis,
  url: string,
  round: string,
  total: number,
  { stream: prefix, telemetry }: Variant,
  bare = false,
): Promise<number> {
  const stream = `${prefix}_${round}`
  const child = bare
    ? script('bare-produce', [url, stream])
    : service(
        'producer',
        {
          REDIS_URL: url,
          STREAM: stream,
          RATE: 'max',
          PORT: '0',
          MAX_BACKLOG: '1000000000',
          TRIM_INTERVAL_MS: '3600000',
        },
        telemetry,
      )
  try {
    await until(async () => (await redis.xlen(stream)) >= total / 10, 5)
    const [first, started] = [await redis.xlen(stream), performance.now()]
    await until(async () => (await redis.xlen(stream)) >= total, 5)
    return ((await redis.xlen(stream)) - first) / ((performance.now() - started) / 1000)
  } finally {
    await end([child], 'SIGKILL')
    await redis.unlink(stream)
  }
}

/** Connections that wait in XREADGROUP. */
async function readers(redis: Redis): Promise<number> {
  return ((await redis.client('LIST')) as string).split('\n').filter(line => / cmd=xreadgroup /.test(line))
    .length
}

/** Entries delivered to a group and acknowledged. */
async function settledBy(redis: Redis, stream: string, group: string): Promise<number> {
  for (const row of (await redis.xinfo('GROUPS', stream)) as unknown[][]) {
    const fields = new Map<unknown, unknown>()
    for (let i = 0; i < row.length; i += 2) fields.set(row[i], row[i + 1])
    if (fields.get('name') === group)
      return Number(fields.get('entries-read')) - Number(fields.get('pending'))
  }
  return 0
}

async function until(condition: () => Promise<boolean>, interval = 20): Promise<void> {
  while (!(await condition())) await sleep(interval)
}
