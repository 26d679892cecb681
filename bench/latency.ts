import { once } from 'node:events'
import { quantile } from '@conveyor/chaos'
import type { Bench, Part } from './bench.ts'
import { inTurn } from './bench.ts'
import { end, script, whileAlive } from './processes.ts'
import { spread } from './statistics.ts'

/** Packages per second, and for how many seconds they are measured. */
const RATES = [
  [100, 20],
  [1000, 20],
  [10_000, 10],
] as const

/** Seconds before that: Node.js compiles what is called often, and at a low rate that takes its time. */
const WARM_UP = 10

const SHARES = [0.5, 0.99, 0.999] as const

/** ms from the time at which a package was meant to be sent: for each share, one figure a round. */
interface Latencies {
  readonly name: string
  readonly stage: string
  readonly shares: number[][]
}

const WHO = {
  bare: { name: 'bare XADD, blocking XREADGROUP', last: 'acknowledged' },
  ours: { name: 'Conveyor', last: 'flushed' },
} as const

const STAGES: Record<string, string> = {
  received: 'received',
  acknowledged: 'acknowledged',
  committed: 'committed',
  flushed: 'line on disk',
}

/**
 * How long a package is on its way at a rate that is kept, whatever becomes of the packages before: from the time at
 * which it was meant to be sent. All figures are of one clock, taken in the consumer's own process.
 */
export const latency: Part = async bench => {
  const rows: string[][] = []
  const figures: unknown[] = []
  for (const [rate, seconds] of RATES) {
    const found = await atRate(bench, rate, bench.quick ? 2 : seconds)
    const base = found.find(({ stage }) => stage === 'acknowledged') as Latencies
    for (const { name, stage, shares } of found) {
      const ratio = (shares[1] ?? []).map((value, round) => value / (base.shares[1]?.[round] as number))
      const times = shares.map(values => spread(values, 2))
      rows.push([`${rate.toLocaleString('en-US')}/s, ${name}: ${STAGES[stage]}`, ...times, spread(ratio, 2)])
      figures.push({ rate, name, stage, p50: shares[0], p99: shares[1], p999: shares[2] })
    }
  }
  return [
    {
      id: 'latency',
      title: 'Latency from the time of sending, ms',
      head: ['', 'p50', 'p99', 'p99.9', 'p99, ratio to acknowledged'],
      rows,
      figures,
    },
  ]
}

async function atRate(bench: Bench, rate: number, seconds: number): Promise<Latencies[]> {
  const rounds = Math.min(bench.rounds, 5)
  const all = new Map<string, Latencies>()
  const note = (name: string, stage: string, times: number[]) => {
    const found = all.get(name + stage) ?? { name, stage, shares: SHARES.map(() => []) }
    all.set(name + stage, found)
    for (const [index, share] of SHARES.entries()) found.shares[index]?.push(quantile(times, share))
  }
  await inTurn(
    { rounds, progress: bench.progress },
    `Latency at ${rate.toLocaleString('en-US')}/s`,
    (['bare', 'ours'] as const).map(who => ({
      name: WHO[who].name,
      run: async round => {
        const stages = await measure(bench, who, `bench_latency_${rate}_${round}`, rate, seconds)
        for (const [stage, times] of Object.entries(stages)) note(WHO[who].name, stage, times)
        return quantile(stages[WHO[who].last] as number[], 0.99)
      },
    })),
  )
  return [...all.values()]
}

/** For each stage, how long after its time of sending each package was there, without the first packages. */
async function measure(
  { redis, url, outputDir, quick }: Bench,
  who: keyof typeof WHO,
  stream: string,
  rate: number,
  seconds: number,
): Promise<Record<string, number[]>> {
  const warmUp = rate * (quick ? 1 : WARM_UP)
  const total = warmUp + rate * seconds
  const consumer = script(`latency-${who}`, [url, stream, String(total), `${outputDir}/${stream}`])
  const children = [consumer]
  try {
    await whileAlive(children, once(consumer, 'message'))
    const ended = once(consumer, 'message')
    const sender = script('latency-send', [who, url, stream, String(rate), String(total)])
    children.push(sender)
    const work = Promise.all([once(sender, 'message'), ended])
    const [[{ start }], [stages]] = await whileAlive(children, work)
    return Object.fromEntries(
      Object.entries(stages as Record<string, number[]>).map(([stage, times]) => [
        stage,
        times.slice(warmUp).map((time, n) => time - (start + ((warmUp + n) * 1000) / rate)),
      ]),
    )
  } finally {
    await end(children, 'SIGKILL')
    const keys = await redis.keys(`*${stream}*`)
    if (keys.length > 0) await redis.unlink(...keys)
  }
}
