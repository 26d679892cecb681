import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { quantile } from '@conveyor/chaos'
import { type Keys, keysOf } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { inTurn, type Part } from './bench.ts'
import { end, service, whileAlive } from './processes.ts'
import { rateTable } from './table.ts'
import { consumeRound, consumerEnv, fill, until } from './throughput.ts'

/** How much later than they were due messages came back, and what it costs that others wait. */
export const retries: Part = async bench => {
  const { redis, url, outputDir, quick } = bench
  const late = await lateness(redis, url, quick ? 2000 : 20_000, outputDir)
  const [p50, p99, most] = [0.5, 0.99, 1].map(part => quantile(late, part))
  const total = quick ? 50_000 : 600_000
  const stream = 'bench_waiting'
  await fill(url, stream, total)
  const round = (waiting: number) => (name: string) =>
    consumeRound(redis, url, name, total, { stream, waiting }, outputDir)
  const measured = await inTurn(bench, 'Retries', [
    { name: 'nothing waits', run: round(0) },
    { name: '100,000 messages wait for their retry', run: round(100_000) },
  ])
  await redis.unlink(stream)
  return [
    {
      id: 'retries',
      title: 'Messages come back, 1,000 due per second',
      head: ['later than due', 'p50', 'p99', 'at most'],
      rows: [[`${late.length.toLocaleString('en-US')} messages`, `${p50} ms`, `${p99} ms`, `${most} ms`]],
      figures: { messages: late.length, p50, p99, most },
    },
    rateTable({ id: 'waiting', title: 'Consume while others wait' }, measured),
  ]
}

/**
 * How much later than they were due messages came back to the stream, ms: `count` of them, one due each millisecond,
 * returned by three consumers that all look for what is due.
 */
async function lateness(redis: Redis, url: string, count: number, outputDir: string): Promise<number[]> {
  const stream = 'bench_retries'
  const keys = keysOf(stream, 'fill')
  await fill(url, stream, count)
  const handler = fileURLToPath(new URL('late-handler.js', import.meta.url))
  const children: ChildProcess[] = ['c1', 'c2', 'c3'].map(id =>
    service('consumer', {
      env: { ...consumerEnv(url, stream, 'fill', id, `${outputDir}/${stream}`), HANDLER: handler },
    }),
  )
  const returned = async () => {
    await until(async () => (await redis.zcard(keys.retry)) === count)
    const due = await dueTimes(redis, keys)
    await until(async () => (await redis.xlen(stream)) === 2 * count)
    return due
  }
  try {
    const due = await whileAlive(children, returned())
    return await readLateness(redis, keys, due)
  } finally {
    await end(children, 'SIGKILL')
    await redis.unlink(stream)
  }
}

/** Id of the message -> when it is due. */
async function dueTimes(redis: Redis, { retry }: Keys): Promise<Map<string, number>> {
  const found = await redis.zrange(retry, '0', '-1', 'WITHSCORES')
  const due = new Map<string, number>()
  for (let i = 0; i < found.length; i += 2) due.set(found[i] as string, Number(found[i + 1]))
  return due
}

async function readLateness(redis: Redis, { stream }: Keys, due: Map<string, number>): Promise<number[]> {
  const late: number[] = []
  for (const [entry, fields] of await redis.xrange(stream, '-', '+')) {
    const at = fields.indexOf('conveyor')
    if (at < 0) continue
    const { id } = JSON.parse(fields[at + 1] as string)
    late.push(Number.parseInt(entry, 10) - (due.get(id) as number))
  }
  return late
}
