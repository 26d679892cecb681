import { deadLetters, type Keys, purgedPackages, type StreamState } from '@conveyor/stream'
import type { Report } from '@conveyor/validator'
import type { Redis } from 'ioredis'
import { count } from './summary.ts'

/** Packages of a group's present run that are dead letters, or were until they were purged, each with its reason. */
export async function deadPackages(
  redis: Redis,
  keys: Keys,
  epoch: string | undefined,
): Promise<Map<number, string>> {
  const dead = new Map<number, string>()
  for (const number of await purgedPackages(redis, keys)) dead.set(number, 'purged')
  for await (const letter of deadLetters(redis, keys)) {
    const isOurs = letter.group === keys.group && letter.epoch === epoch
    if (isOurs && letter.package !== undefined) dead.set(letter.package, letter.reason)
  }
  return dead
}

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
