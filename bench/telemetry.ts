import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { keysOf, openStream } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { OtlpSink } from './otlp-sink.ts'
import { end, service, whileAlive } from './processes.ts'
import { consumerEnv, fill, producerEnv, settledBy, until } from './throughput.ts'

/** Packages before the first turn: Node.js has compiled the SDK after some 10,000 spans. */
const WARM_UP = 100_000

/** A process that is stopped must not find its commands overdue when it goes on. */
const PATIENT = { COMMAND_TIMEOUT_MS: '600000' }

export interface TelemetryCostOptions {
  readonly redis: Redis
  readonly url: string
  readonly outputDir: string
  /** Packages that wait for the consumers. */
  readonly backlog: number
  /** Length of a turn. */
  readonly windowMs: number
  readonly turns: number
}

/** Messages per second of each turn. */
export interface TelemetryCost {
  readonly title: string
  readonly off: number[]
  readonly on: number[]
}

/** A process that is measured, and how many messages it has done. */
interface Runner {
  readonly child: ChildProcess
  readonly done: () => Promise<number>
  /** How many there are at most. */
  readonly most: number
}

/**
 * What it costs to be measured and traced: a process with the SDK and one without take turns of a few seconds,
 * both stopped while it is the other's. Rounds one after the other would rather measure how the machine drifts.
 * A Collector's place is taken by one that accepts everything.
 */
export async function* telemetryCosts(options: TelemetryCostOptions): AsyncGenerator<TelemetryCost> {
  const { redis, url, outputDir, backlog } = options
  const sink = await OtlpSink.start()
  try {
    const defaults = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, OTEL_METRIC_EXPORT_INTERVAL: '1000' }
    const everything = { ...defaults, OTEL_TRACES_SAMPLER: 'always_on' }
    const consumer = async (stream: string, sdk?: NodeJS.ProcessEnv): Promise<Runner> => {
      const group = sdk ? 'on' : 'off'
      await openStream(redis, keysOf(stream, group), [group])
      const env = consumerEnv(url, stream, group, 'c0', `${outputDir}/${stream}_${group}`)
      return {
        child: service('consumer', { ...env, ...PATIENT }, sdk),
        done: () => settledBy(redis, stream, group),
        most: backlog,
      }
    }
    const producer = async (prefix: string, sdk?: NodeJS.ProcessEnv): Promise<Runner> => {
      const stream = `${prefix}_${sdk ? 'on' : 'off'}`
      return {
        child: service('producer', { ...producerEnv(url, stream), ...PATIENT }, sdk),
        done: () => redis.xlen(stream),
        most: Infinity,
      }
    }

    // The default, 100 traces a second, is less than one in 500 at full speed.
    await fill(url, 'bench_few', backlog, from => (from < WARM_UP ? 10 : 1))
    yield await compare('consumer, 1 in 500 traced', options, consumer, 'bench_few', defaults)
    yield await compare('producer, 100 traces a second', options, producer, 'bench_send_few', defaults)
    await fill(url, 'bench_all', backlog, () => 500)
    yield await compare('consumer, every package traced', options, consumer, 'bench_all', everything)
    yield await compare('producer, every package traced', options, producer, 'bench_send_all', everything)
  } finally {
    sink.stop()
  }
}

async function compare(
  title: string,
  { redis, backlog, windowMs, turns }: TelemetryCostOptions,
  start: (stream: string, sdk?: NodeJS.ProcessEnv) => Promise<Runner>,
  stream: string,
  sdk: NodeJS.ProcessEnv,
): Promise<TelemetryCost> {
  const runners = [await start(stream), await start(stream, sdk)] as const
  const children = runners.map(({ child }) => child)
  const rates: [number[], number[]] = [[], []]
  const takeTurns = async () => {
    const warmUp = Math.min(WARM_UP, backlog / 4)
    await Promise.all(
      runners.map(async ({ child, done }) => {
        await until(async () => (await done()) >= warmUp)
        child.kill('SIGSTOP')
      }),
    )
    for (let turn = 0; turn < turns; turn++) {
      for (const who of turn % 2 ? ([1, 0] as const) : ([0, 1] as const)) {
        const rate = await oneTurn(runners[who], windowMs)
        if (rate === undefined) return
        rates[who].push(rate)
      }
    }
  }
  try {
    await whileAlive(children, takeTurns())
    if (rates[1].length === 0) throw new Error(`${title}: the backlog was used up before a turn was over`)
    const both = Math.min(rates[0].length, rates[1].length)
    return { title, off: rates[0].slice(0, both), on: rates[1].slice(0, both) }
  } finally {
    await end(children, 'SIGKILL')
    await redis.unlink(stream, `${stream}_on`, `${stream}_off`)
  }
}

/** Lets a process run for a while. Undefined when it had nothing left to do before that was over. */
async function oneTurn({ child, done, most }: Runner, windowMs: number): Promise<number | undefined> {
  child.kill('SIGCONT')
  const [before, started] = [await done(), performance.now()]
  await sleep(windowMs)
  const [after, ended] = [await done(), performance.now()]
  child.kill('SIGSTOP')
  return after < most ? (after - before) / ((ended - started) / 1000) : undefined
}
