import { inTurn, type Part } from './bench.ts'
import { rateTable } from './table.ts'
import { consumeRound, fill } from './throughput.ts'

/** What keeping the history of packages costs a consumer. */
export const history: Part = async bench => {
  const { redis, url, outputDir } = bench
  const total = bench.quick ? 50_000 : 600_000
  const stream = 'bench_history'
  await fill(url, stream, total)
  const round = (HISTORY: string) => ({
    name: `\`HISTORY=${HISTORY}\``,
    run: (name: string) => consumeRound(redis, url, name, total, { stream, env: { HISTORY } }, outputDir),
  })
  const measured = await inTurn(bench, 'History', ['off', 'failures', 'all'].map(round))
  await redis.unlink(stream)
  return [rateTable({ id: 'history', title: 'Consume and keep history' }, measured)]
}
