import type { ConsumerState } from './inspect.ts'

/**
 * `live`: it beats; `silent`: its counter stands still; `dead`: so long that peers take over; `unknown`: not seen
 * often enough; `ended`: its session has ended and something of it is left; `gone`: it has no session.
 */
export type Life = 'live' | 'silent' | 'dead' | 'unknown' | 'ended' | 'gone'

/**
 * Judges consumers as they judge each other, without a clock: by how many looks in a row a heartbeat counter stood
 * still. Looks are to be as far apart as beats; one that Redis did not answer does not count.
 */
export class Liveness {
  private seen = new Map<string, { beat: number; silent: number; moved: boolean }>()

  /** @param deathBeats a consumer whose counter stood still over so many looks is dead */
  constructor(private readonly deathBeats: number) {}

  see(consumers: readonly ConsumerState[]): void {
    const before = this.seen
    this.seen = new Map(
      consumers.map(({ id, beat }) => {
        const last = before.get(id)
        if (last?.beat === beat) return [id, { ...last, silent: last.silent + 1 }]
        return [id, { beat, silent: 0, moved: last !== undefined }]
      }),
    )
  }

  of({ id, session }: ConsumerState): Life {
    if (session !== 'live') return session === 'ended' ? 'ended' : 'gone'
    const { silent = 0, moved = false } = this.seen.get(id) ?? {}
    if (silent >= this.deathBeats) return 'dead'
    if (!moved) return 'unknown'
    // A beat may come just after a look, and the next just after the one after that.
    return silent > 1 ? 'silent' : 'live'
  }
}
