import type { Part } from './bench.ts'
import { bullmqRecovery } from './bullmq-recovery.ts'
import { measureRecovery } from './recovery.ts'
import { percentile } from './statistics.ts'

/** How long what a killed process held waits for another one: our consumers, and BullMQ's workers at their defaults. */
export const recovery: Part = async ({ redis, quick, progress, peers }) => {
  progress.show('Recovery: killing consumers')
  const text = await measureRecovery(quick ? 2 : 50)
  const [kills = '', p50 = '', p90 = '', p99 = '', most = ''] =
    /^(\d+) kills[\s\S]*?p50 (.+?) {3}p90 (.+?) {3}p99 (.+?) {3}max (.+)$/m.exec(text)?.slice(1) ?? []
  const rows = [['Conveyor', kills, p50, p90, p99, most]]
  const bullmq = peers.find(({ name }) => name.startsWith('BullMQ'))
  let times: number[] | undefined
  if (bullmq && !quick) {
    const wanted = 10
    times = await bullmqRecovery(redis, bullmq, wanted, kill =>
      progress.show(`Recovery: ${bullmq.name}, kill ${kill} of ${wanted}`),
    )
    const at = [0.5, 0.9, 0.99, 1].map(share => percentile(times as number[], share))
    rows.push([
      bullmq.name,
      String(times.length),
      ...at.map(ms => `${Math.round(ms).toLocaleString('en-US')} ms`),
    ])
  }
  return [
    {
      id: 'recovery',
      title: 'From SIGKILL until all that the victim held is done by others',
      head: ['', 'kills', 'p50', 'p90', 'p99', 'at most'],
      rows,
      ...(!times && { notes: ['Without BullMQ, whose recovery takes most of a minute a kill.'] }),
      figures: { conveyor: text.split('\n'), ...(times && { bullmq: times }) },
    },
  ]
}
