import { keysOf, openStream } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { type Bench, inTurn, type Part } from './bench.ts'
import { residentMemory, service } from './processes.ts'
import { PATIENT, type Runner, sideBySide, type Window } from './side-by-side.ts'
import { median, spread, typical } from './statistics.ts'
import type { Table } from './table.ts'
import { consumeRound, consumerEnv, fill, settledBy, until } from './throughput.ts'

const STREAM = 'bench_growth'

/** Whether time and memory stay flat as there are more packages, more consumers, or larger packages. */
export const growth: Part = async bench => {
  const { redis, url, quick, progress } = bench
  const millions = (quick ? [20_000, 60_000, 200_000] : [1e6, 3e6, 10e6]) as [number, number, number]
  progress.show(`Growth: filling a backlog of ${millions[2].toLocaleString('en-US')}`)
  await fill(url, STREAM, millions[2])
  try {
    return [
      await backlog(bench, millions),
      await age(bench, millions),
      await consumers(bench),
      await sizes(bench),
    ]
  } finally {
    await redis.unlink(STREAM)
  }
}

/** One consumer works a backlog off: time and memory up to each of `points`. */
async function backlog({ redis, url, outputDir, progress }: Bench, points: number[]): Promise<Table> {
  const { child, done } = await consumer(redis, url, 'once', outputDir)
  const found: { packages: number; micros: number; consumer: number; redis: number }[] = []
  let last = { at: performance.now(), done: 0 }
  try {
    await until(async () => (await done()) > 0, 5)
    last = { at: performance.now(), done: 0 }
    for (const point of points) {
      progress.show(`Growth: ${point.toLocaleString('en-US')} packages of the backlog`)
      await until(async () => (await done()) >= point, 5)
      const at = performance.now()
      const packages = await done()
      const micros = (1000 * (at - last.at)) / (packages - last.done)
      found.push({
        packages: point,
        micros,
        consumer: await residentMemory(child.pid as number),
        redis: await redisMemory(redis),
      })
      last = { at: performance.now(), done: await done() }
    }
  } finally {
    child.kill('SIGKILL')
  }
  return {
    id: 'growth-backlog',
    title: 'A backlog is worked off',
    head: ['packages done', 'µs a package since the row above', 'consumer, MB', 'Redis, MB'],
    rows: found.map(({ packages, micros, consumer, redis }) => [
      packages.toLocaleString('en-US'),
      micros.toFixed(1),
      consumer.toFixed(0),
      redis.toFixed(0),
    ]),
    figures: found,
  }
}

/** A consumer that has done a tenth and one that has done eight tenths of the backlog, side by side. */
async function age(
  { redis, url, outputDir, rounds, quick, progress }: Bench,
  points: number[],
): Promise<Table> {
  const most = points.at(-1) as number
  const [few, many] = [most / 10, most * 0.8]
  const windows = rounds * 3
  progress.show('Growth: a consumer ages')
  const young = await consumer(redis, url, 'young', outputDir, few, most)
  const old = await consumer(redis, url, 'old', outputDir, many, most)
  const [a, b] = await sideBySide([young, old], {
    windows,
    windowMs: quick ? 200 : 1500,
    progress: window => progress.show(`Growth: young and old, window ${window} of ${windows}`),
  })
  const micros = (windows: Window[]) => windows.map(({ perSecond }) => 1e6 / perSecond)
  const ratio = micros(b).map((time, n) => time / (micros(a)[n] as number))
  const busy = b.map(({ micros }, n) => micros / (a[n] as Window).micros)
  return {
    id: 'growth-age',
    title: 'A consumer at the beginning of its work and one near its end, side by side',
    head: ['packages done before', 'µs a package', 'ratio, half of the windows', 'of processor time'],
    rows: [
      [few.toLocaleString('en-US'), spread(micros(a), 1), '1', '1'],
      [many.toLocaleString('en-US'), spread(micros(b), 1), typical(ratio, 2), typical(busy, 2)],
    ],
    figures: { few: a, many: b, ratio: median(ratio), busy: median(busy) },
  }
}

async function consumers(bench: Bench): Promise<Table> {
  const { redis, url, outputDir, quick } = bench
  const total = quick ? 30_000 : 300_000
  const stream = 'bench_growth_consumers'
  await fill(url, stream, total)
  const measured = await inTurn(
    bench,
    'Growth',
    [1, 2, 3, 6, 12].map(count => ({
      name: `${count} ${count > 1 ? 'consumers' : 'consumer'}`,
      run: async round => 1e6 / (await consumeRound(redis, url, round, total, { stream, count }, outputDir)),
    })),
  )
  await redis.unlink(stream)
  return {
    id: 'growth-consumers',
    title: 'More consumers',
    head: ['', 'µs a package'],
    rows: measured.map(({ name, values }) => [name, spread([...values], 1)]),
    figures: measured,
  }
}

/** Bytes of a package, and how many there are of them. */
const SIZES = [
  [256, 200_000],
  [4096, 50_000],
  [65_536, 4000],
] as const

async function sizes(bench: Bench): Promise<Table> {
  const { redis, url, outputDir, quick } = bench
  const rows: string[][] = []
  const figures: unknown[] = []
  for (const [bytes, many] of SIZES) {
    const total = quick ? Math.max(2000, many / 20) : many
    const stream = `bench_growth_${bytes}`
    await fill(url, stream, total, { bytes })
    let memory = 0
    const measured = await inTurn(bench, `Growth: ${bytes} bytes`, [
      {
        name: 'bare loop',
        run: async round => 1e6 / (await consumeRound(redis, url, round, total, { stream }, undefined)),
      },
      {
        name: 'Conveyor',
        run: async round => {
          const look = (child: number) =>
            residentMemory(child).then(found => {
              memory = Math.max(memory, found)
            })
          return 1e6 / (await consumeRound(redis, url, round, total, { stream, look }, outputDir))
        },
      },
    ])
    await redis.unlink(stream)
    const [bare, ours] = measured.map(({ values }) => [...values]) as [number[], number[]]
    rows.push([
      bytes.toLocaleString('en-US'),
      spread(bare, 1),
      spread(ours, 1),
      ((bytes / median(ours)) * (1e6 / 2 ** 20)).toFixed(0),
      memory.toFixed(0),
    ])
    figures.push({ bytes, bare, ours, memory })
  }
  return {
    id: 'growth-size',
    title: 'Larger packages, one consumer',
    head: ['bytes', 'bare loop, µs a package', 'Conveyor, µs a package', 'MB a second', 'memory, MB'],
    rows,
    figures,
  }
}

/** A consumer of the large backlog, in a group of its own. */
async function consumer(
  redis: Redis,
  url: string,
  group: string,
  outputDir: string,
  warmUp = 0,
  most = Infinity,
): Promise<Runner> {
  await openStream(redis, keysOf(STREAM, group), [group])
  const env = { ...consumerEnv(url, STREAM, group, 'c1', `${outputDir}/growth_${group}`), ...PATIENT }
  return { child: service('consumer', { env }), done: () => settledBy(redis, STREAM, group), most, warmUp }
}

async function redisMemory(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]) / 2 ** 20
}
