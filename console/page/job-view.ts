import type { Job } from '../contract.ts'
import { count, plural } from './format.ts'

/** What a bulk action does or did, in a line: `Replayed 12 dead letters, 2 were gone`. */
export function jobText({ action, state, done, gone, refused, total }: Job): string {
  const verb = action === 'replay' ? ['Replaying', 'Replayed'] : ['Purging', 'Purged']
  if (state === 'running') return `${verb[0]} dead letters`
  const rest = [
    ...(gone > 0 ? [`${count(gone)} were gone`] : []),
    ...(refused > 0 ? [`${count(refused)} were refused`] : []),
    ...(state === 'stopped' ? [`stopped with ${count(total - done - gone - refused)} left`] : []),
    ...(state === 'failed' ? ['failed'] : []),
  ]
  return [`${verb[1]} ${plural(done, 'dead letter')}`, ...rest].join(', ')
}
