import { measureRecovery, quantile } from '@conveyor/chaos'
import type { Part } from './bench.ts'
import { bullmqRecovery } from './bullmq-recovery.ts'

/** How long what a killed process held waits for another one: our consumers, and BullMQ's workers at their defaults. */
export const recovery: Part = async ({ redis, quick, progress, peers }) => {
  progress.show('Recovery: killing consumers')
  const conveyor = await measureRecovery({ kills: quick ? 2 : 50 })
  const rows = [row('Conveyor', conveyor.times)]
  const bullmq = peers.find(({ name }) => name.startsWith('BullMQ'))
  let times: number[] | undefined
  if (bullmq && !quick) {
    const wanted = 10
    times = await bullmqRecovery(redis, bullmq, wanted, kill =>
      progress.show(`Recovery: ${bullmq.name}, kill ${kill} of ${wanted}`),
    )
    rows.push(row(bullmq.name, times))
  }
  return [
    {
      id: 'recovery',
      title: 'From SIGKILL until all that the victim held is done by others',
      head: ['', 'kills', 'p50', 'p90', 'p99', 'at most'],
      rows,
      ...(!times && { notes: ['Without BullMQ, whose recovery takes most of a minute a kill.'] }),
      figures: { conveyor, ...(times && { bullmq: times }) },
    },
  ]
}

function row(name: string, times: readonly number[]): string[] {
  const at = [0.5, 0.9, 0.99, 1].map(share => Math.round(quantile(times, share)))
  return [name, String(times.length), ...at.map(ms => `${ms.toLocaleString('en-US')} ms`)]
}
