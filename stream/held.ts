import { IdleTime } from './idle.ts'
import type { Blocked, Load } from './measure-consumer.ts'

/**
 * The entries that were received and not yet settled, and whether there is room for more. Reading waits
 * for room, so nothing piles up in the process while handling, Redis or the disk is slow.
 */
export class Held {
  private readonly entries = new Map<string, number>()
  private bytes = 0
  /** Size of the largest entries of late: how many fit is known only from those that came. */
  private largest: number
  private waiting: { ready: () => boolean; resolve: () => void }[] = []

  /**
   * @param maxEntries most entries held
   * @param maxBytes most bytes of their data; a single entry may exceed it
   * @param blocked another reason to take nothing more, if there is one
   * @param idle counts while nothing is held and something may be taken; whoever adds entries stops it before
   */
  constructor(
    private readonly maxEntries: number,
    private readonly maxBytes: number,
    private readonly blocked: () => Blocked | undefined,
    readonly idle = new IdleTime(),
  ) {
    this.largest = maxBytes / 16 // start small: it is not known yet how large they are
  }

  get size(): number {
    return this.entries.size
  }

  /** How many more entries may be taken. */
  get room(): number {
    if (this.blocked() || this.bytes >= this.maxBytes) return 0
    return Math.max(0, this.maxEntries - this.entries.size)
  }

  /** How full it is, for those who watch. */
  get load(): Load {
    const full = this.bytes >= this.maxBytes || this.entries.size >= this.maxEntries
    return { size: this.entries.size, full, blocked: this.blocked(), idle: this.idle.seconds }
  }

  get roomBytes(): number {
    return Math.max(0, this.maxBytes - this.bytes)
  }

  /** How many entries to ask for, `most` at most: as many as probably fit, and one at least. */
  ask(most: number): number {
    const fitting = Math.floor((this.maxBytes - this.bytes) / this.largest)
    this.largest = Math.max(1, this.largest / 2)
    return Math.max(1, Math.min(most, this.room, fitting))
  }

  has(entry: string): boolean {
    return this.entries.has(entry)
  }

  /** Bytes of an entry's data; 0 when it is not held. */
  sizeOf(entry: string): number {
    return this.entries.get(entry) ?? 0
  }

  add(entry: string, bytes: number): void {
    this.entries.set(entry, bytes)
    this.bytes += bytes
    if (bytes > this.largest) this.largest = bytes
  }

  settle(entry: string): void {
    this.bytes -= this.entries.get(entry) ?? 0
    this.entries.delete(entry)
  }

  /** To be called when something changed that {@link until} may wait for. */
  changed(): void {
    if (this.entries.size === 0 && !this.blocked()) this.idle.start()
    else this.idle.stop()
    if (this.waiting.length === 0) return
    const waiting = this.waiting
    this.waiting = []
    for (const waiter of waiting) {
      if (waiter.ready()) waiter.resolve()
      else this.waiting.push(waiter)
    }
  }

  /** Resolves once `ready` is true, which is looked at after each change, or after `ms` if given. */
  until(ready: () => boolean, ms?: number): Promise<void> {
    if (ready()) return Promise.resolve()
    return new Promise(resolve => {
      const waiter = { ready, resolve }
      this.waiting.push(waiter)
      if (ms === undefined) return
      const timer = setTimeout(() => {
        this.waiting = this.waiting.filter(other => other !== waiter)
        resolve()
      }, ms)
      waiter.resolve = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
