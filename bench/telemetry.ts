import { keysOf, openStream } from '@conveyor/stream'
import type { Bench, Part } from './bench.ts'
import { OtlpSink } from './otlp-sink.ts'
import { service } from './processes.ts'
import { PATIENT, type Runner, sideBySide, type Window } from './side-by-side.ts'
import { median, spread, typical } from './statistics.ts'
import { consumerEnv, fill, oneInThousand, producerEnv, settledBy } from './throughput.ts'

/** Packages before anything is measured: Node.js has compiled the SDK after some 10,000 spans. */
const WARM_UP = 100_000

/**
 * What it costs to be measured and traced: a process with the SDK and one without work at the same time. A
 * Collector's place is taken by one that accepts everything.
 */
export const telemetry: Part = async bench => {
  const { redis, url, outputDir, quick } = bench
  const backlog = quick ? 100_000 : 3_000_000
  const warmUp = Math.min(WARM_UP, backlog / 4)
  const consumer = async (stream: string, telemetry?: NodeJS.ProcessEnv): Promise<Runner> => {
    const group = telemetry ? 'on' : 'off'
    await openStream(redis, keysOf(stream, group), [group])
    const env = { ...consumerEnv(url, stream, group, 'c0', `${outputDir}/${stream}_${group}`), ...PATIENT }
    return {
      child: service('consumer', { env, telemetry }),
      done: () => settledBy(redis, stream, group),
      most: backlog,
      warmUp,
    }
  }
  const producer = async (prefix: string, telemetry?: NodeJS.ProcessEnv): Promise<Runner> => {
    const stream = `${prefix}_${telemetry ? 'on' : 'off'}`
    return {
      child: service('producer', { env: { ...producerEnv(url, stream), ...PATIENT }, telemetry }),
      done: () => redis.xlen(stream),
      most: Infinity,
      warmUp,
    }
  }
  const sink = await OtlpSink.start()
  try {
    const defaults = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, OTEL_METRIC_EXPORT_INTERVAL: '5000' }
    const everything = { ...defaults, OTEL_TRACES_SAMPLER: 'always_on' }
    const compare = async (
      title: string,
      start: typeof consumer,
      stream: string,
      telemetry: NodeJS.ProcessEnv,
    ) => beside(bench, title, await start(stream), await start(stream, telemetry), stream)
    // The default, 50 traces a second, is less than one in 1,000 at full speed.
    await fill(url, 'bench_few', backlog, { traced: from => (from < WARM_UP ? 10 : oneInThousand(from)) })
    const found = [await compare('consumer, 1 in 1,000 traced', consumer, 'bench_few', defaults)]
    found.push(await compare('producer, 50 traces a second', producer, 'bench_send_few', defaults))
    await fill(url, 'bench_all', backlog, { traced: () => 500 })
    found.push(await compare('consumer, every package traced', consumer, 'bench_all', everything))
    found.push(await compare('producer, every package traced', producer, 'bench_send_all', everything))
    return [
      {
        id: 'telemetry',
        title: 'Telemetry: messages per second with it and without, side by side',
        head: ['', 'without', 'with', 'ratio, half of the windows', 'processor time, µs', 'with'],
        rows: found.map(({ title, off, on, ratio }) => [
          title,
          spread(off.map(rate)),
          spread(on.map(rate)),
          typical(ratio, 2),
          typical(off.map(busy), 1),
          typical(on.map(busy), 1),
        ]),
        figures: found.map(({ ratio, ...windows }) => ({ ...windows, ratio: median(ratio) })),
      },
    ]
  } finally {
    sink.stop()
  }
}

const rate = ({ perSecond }: Window) => perSecond
const busy = ({ micros }: Window) => micros

async function beside(
  { redis, rounds, quick, progress }: Bench,
  title: string,
  without: Runner,
  with_: Runner,
  stream: string,
) {
  const windows = rounds * 4
  progress.show(`Telemetry: ${title}, warming up`)
  try {
    const [off, on] = await sideBySide([without, with_], {
      windows,
      windowMs: quick ? 200 : 5000,
      progress: window => progress.show(`Telemetry: ${title}, window ${window} of ${windows}`),
    })
    return { title, off, on, ratio: on.map((window, n) => rate(window) / rate(off[n] as Window)) }
  } finally {
    await redis.unlink(stream, `${stream}_on`, `${stream}_off`)
  }
}
