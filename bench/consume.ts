import type { Part } from './bench.ts'
import { inTurn } from './bench.ts'
import { peerContenders } from './fastest.ts'
import { type Measured, rateTable } from './table.ts'
import { consumeRound, fill } from './throughput.ts'

/** A bare loop, our consumers, and other queues' workers, on a backlog. */
export const consume: Part = async bench => {
  const { redis, url, outputDir, quick } = bench
  const total = quick ? 50_000 : 600_000
  const stream = 'bench_consume'
  await fill(url, stream, total)
  const round = (count: number, dir?: string) => (name: string) =>
    consumeRound(redis, url, name, total, { stream, count }, dir)
  const peers = await peerContenders(bench, 'consume')
  const measured = await inTurn(bench, 'Consume', [
    { name: 'bare ioredis loop', run: round(1) },
    { name: 'Conveyor, 1 consumer', run: round(1, outputDir) },
    ...[2, 3, 6].map(count => ({ name: `Conveyor, ${count} consumers`, run: round(count, outputDir) })),
    ...peers.contenders,
  ])
  await redis.unlink(stream)
  const title = `Consume ${total.toLocaleString('en-US')} packages`
  return [rateTable({ id: 'consume', title, notes: peers.notes }, measured, [measured[3] as Measured])]
}
