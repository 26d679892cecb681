/**
 * The entries that were received and not yet settled, and whether there is room for more. Reading waits
 * for room, so nothing piles up in the process while handling, Redis or the disk is slow.
 */
export class Held {
  private readonly entries = new Map<string, number>()
  private bytes = 0
  private waiting: { ready: () => boolean; resolve: () => void }[] = []

  /**
   * @param maxEntries most entries held
   * @param maxBytes most bytes of their data; a single entry may exceed it
   * @param blocked whether there is another reason to take nothing more
   */
  constructor(
    private readonly maxEntries: number,
    private readonly maxBytes: number,
    private readonly blocked: () => boolean,
  ) {}

  get size(): number {
    return this.entries.size
  }

  /** How many more entries may be taken. */
  get room(): number {
    if (this.blocked() || this.bytes >= this.maxBytes) return 0
    return Math.max(0, this.maxEntries - this.entries.size)
  }

  get roomBytes(): number {
    return Math.max(0, this.maxBytes - this.bytes)
  }

  has(entry: string): boolean {
    return this.entries.has(entry)
  }

  add(entry: string, bytes: number): void {
    this.entries.set(entry, bytes)
    this.bytes += bytes
  }

  settle(entry: string): void {
    this.bytes -= this.entries.get(entry) ?? 0
    this.entries.delete(entry)
  }

  /** To be called when something changed that {@link until} may wait for. */
  changed(): void {
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
