import { deadLetters, type Keys, purgedPackages, type StreamState } from '@conveyor/stream'
import type { Redis } from 'ioredis'

/** Reading letters may take a 20th of the time. */
const SHARE = 20

/** The packages of a group's present run that are dead letters, or were purged; read again when there are others. */
export class LettersSeen {
  /** Package -> id of its letter, and why it died. */
  dead = new Map<number, { readonly id: string; readonly reason: string }>()
  purged = new Set<number>()
  private seen = ''
  private rest = 0

  /** @param now read them, whether or not there seem to be others */
  async refresh(redis: Redis, keys: Keys, state: StreamState, now = false): Promise<void> {
    const { epoch, deadLetters: all, dead, replayed, purged } = state
    const seen = [epoch, all, dead, replayed, purged].join(' ')
    const started = performance.now()
    if (!now && (seen === this.seen || started < this.rest)) return
    const found = new Map<number, { id: string; reason: string }>()
    for await (const letter of all === 0 && !now ? [] : deadLetters(redis, keys)) {
      const isOurs = letter.group === keys.group && letter.epoch === epoch
      if (isOurs && letter.package !== undefined)
        found.set(letter.package, { id: letter.id, reason: letter.reason })
    }
    this.purged = new Set(purged === 0 && !now ? [] : await purgedPackages(redis, keys))
    this.dead = found
    this.seen = seen
    this.rest = performance.now() + SHARE * (performance.now() - started)
  }
}
