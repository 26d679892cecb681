import { type Contender, inTurn, type Part } from './bench.ts'
import { OtlpSink } from './otlp-sink.ts'
import { median, spread } from './statistics.ts'
import { consumeRound, fill, oneInThousand, type Variant } from './throughput.ts'

/**
 * What each guarantee costs: one consumer that promises nothing, and then one thing more with each row. Those below
 * `AOF always` are loops of ladder-loop.ts on a Redis that leaves syncing to the system; those above are our consumer.
 */
export const ladder: Part = async bench => {
  const { redis, url, outputDir, quick } = bench
  const total = quick ? 30_000 : 300_000
  const traced = quick ? 5000 : 50_000
  await fill(url, 'bench_ladder', total)
  await fill(url, 'bench_ladder_few', total, { traced: oneInThousand })
  await fill(url, 'bench_ladder_all', traced, { traced: () => 500 })
  const sink = await OtlpSink.start()

  const rung = (
    name: string,
    packages: number,
    variant: Variant,
    sync: boolean,
    dir?: string,
  ): Contender => ({
    name,
    run: async round => {
      await redis.config('SET', 'appendfsync', sync ? 'always' : 'no')
      return 1e6 / (await consumeRound(redis, url, round, packages, variant, dir))
    },
  })
  const loop = (name: string, level: string, sync = false) =>
    rung(
      name,
      total,
      { stream: 'bench_ladder', loop: ['ladder-loop', level, `${outputDir}/ladder.txt`] },
      sync,
    )
  const ours = (name: string, packages: number, variant: Variant) =>
    rung(name, packages, variant, true, outputDir)
  const defaults = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, OTEL_METRIC_EXPORT_INTERVAL: '1000' }
  const everything = { ...defaults, OTEL_TRACES_SAMPLER: 'always_on' }
  const untraced = { ...defaults, TRACES_PER_SECOND: '0' }
  const all = { stream: 'bench_ladder_all', telemetry: everything }
  try {
    const measured = await inTurn(bench, 'Cost of each guarantee', [
      loop('read, parse', 'read'),
      loop('+ acknowledge', 'ack'),
      loop('+ fence: token and pending list checked', 'fence'),
      loop('+ a line in a file', 'file'),
      loop('+ fdatasync of each batch', 'sync'),
      loop('+ Redis syncs before it answers', 'sync', true),
      ours('Conveyor: + exactly once, by an output log in Redis', total, { stream: 'bench_ladder' }),
      ours('+ metrics', total, { stream: 'bench_ladder', telemetry: untraced }),
      ours('+ traces of 1 in 1,000', total, { stream: 'bench_ladder_few', telemetry: defaults }),
      ours('+ a trace of every package', traced, all),
      ours('+ `HISTORY=all`', traced, { ...all, env: { HISTORY: 'all' } }),
    ])
    const costs = measured.map(({ values }, index) => {
      const before = measured[index - 1]?.values
      return before ? values.map((value, round) => value - (before[round] as number)) : []
    })
    return [
      {
        id: 'ladder',
        title: 'Cost of each guarantee, one consumer, µs a package',
        head: ['', 'µs', 'more than the row above'],
        rows: measured.map(({ name, values }, index) => [
          name,
          spread([...values], 2),
          index === 0 ? '' : spread(costs[index] as number[], 2),
        ]),
        figures: measured.map(({ name, values }, index) => ({
          name,
          micros: values,
          more: median(costs[index] as number[]),
        })),
      },
    ]
  } finally {
    await redis.config('SET', 'appendfsync', 'always')
    sink.stop()
    await redis.unlink('bench_ladder', 'bench_ladder_few', 'bench_ladder_all')
  }
}
