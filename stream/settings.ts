/** What may be set about a consumer; {@link DEFAULTS} says what is when nothing is. */
export interface Settings {
  /** Ms between an answered heartbeat and the next. */
  readonly beatInterval: number
  /** A peer whose beat stood still over so many of one's own answered beats is dead. */
  readonly deathBeats: number
  /** Entries read at once, at most. */
  readonly batch: number
  /** Ms that a read waits for entries. */
  readonly block: number
  /** Entries received and not settled, at most. */
  readonly maxHeld: number
  /**
   * The same in bytes of their data. One entry is always allowed, however large; and a read that meets
   * entries far larger than all before may bring up to `batch` of them, because Redis (before 8.10) counts
   * entries only.
   */
  readonly maxHeldBytes: number
  /** Bytes of output that may wait for the disk before reading stops. */
  readonly maxUnflushed: number
  /** An entry that was delivered so often without an outcome goes to the dead letters. */
  readonly maxDeliveries: number
  /** Ms that a command may wait for its answer. */
  readonly deadline: number
  /** Handler calls at the same time, when the handler is asynchronous. */
  readonly concurrency: number
  /** Ms until an asynchronous handler is given up; 0 for never. */
  readonly handlerTimeout: number
}

export const DEFAULTS: Settings = {
  beatInterval: 200,
  deathBeats: 5,
  batch: 500,
  block: 500,
  maxHeld: 2000,
  maxHeldBytes: 8 * 1024 * 1024,
  maxUnflushed: 8 * 1024 * 1024,
  maxDeliveries: 5,
  deadline: 5000,
  concurrency: 16,
  handlerTimeout: 30_000,
}
