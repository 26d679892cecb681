import type { StreamState } from '@conveyor/stream'
import type { Report } from '@conveyor/validator'
import { count } from './summary.ts'

/** Whether every package that was given out is in its place or in the dead letters, and where to look if not. `place`: which. */
export function balance(
  { sequence, letters, purged }: StreamState,
  { totals }: Report,
  place = 'in files',
): string[] {
  const { unique, unexpected, missing, dead = 0, deadProcessed = 0 } = totals
  const held = Object.values(letters).reduce((sum, letters) => sum + letters, 0)
  const noPackages = held + purged - dead - deadProcessed
  return [
    `Given out: ${count(sequence)}   ${place}: ${count(unique - unexpected)}   in the dead letters: ${count(dead)}${purged > 0 ? ` (${count(purged)} of them purged)` : ''}${missing > 0 ? `   in neither: ${count(missing)}` : ''}`,
    ...(noPackages > 0 ? [`${count(noPackages)} more of the dead letters are no packages of this run`] : []),
    ...(held > 0 ? ['`npx conveyor dlq list` shows the dead letters while Redis runs'] : []),
  ]
}
