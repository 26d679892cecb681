import type { Part } from './bench.ts'
import { inTurn } from './bench.ts'
import { peerContenders } from './fastest.ts'
import { type Measured, rateTable } from './table.ts'
import { produceRound } from './throughput.ts'

/** A bare script loop, our producer, and other queues' calls for many messages, flat out. */
export const produce: Part = async bench => {
  const { redis, url, quick } = bench
  const total = quick ? 50_000 : 600_000
  const stream = 'bench_produce'
  const round = (bare: boolean) => (name: string) => produceRound(redis, url, name, total, { stream }, bare)
  const peers = await peerContenders(bench, 'produce')
  const measured = await inTurn(bench, 'Produce', [
    { name: 'bare Lua loop', run: round(true) },
    { name: 'Conveyor producer', run: round(false) },
    ...peers.contenders,
  ])
  const title = `Produce ${total.toLocaleString('en-US')} packages`
  return [rateTable({ id: 'produce', title, notes: peers.notes }, measured, [measured[1] as Measured])]
}
