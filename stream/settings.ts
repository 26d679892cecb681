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
  /** Ms until an asynchronous call of the handler is given up, which counts as a failed attempt; 0 for never. */
  readonly handlerTimeout: number
  /** A package whose handling failed so often goes to the dead letters. */
  readonly maxAttempts: number
  /** Ms until the second attempt, at most; doubled with each further one. */
  readonly retryDelay: number
  /** Ms between two attempts at most, unless the handler asks for more. */
  readonly retryMaxDelay: number
  readonly history: History
  /** Ms that history is kept. */
  readonly historyTtl: number
}

/**
 * Whose history is kept: of every package, of those with which something went wrong (a failure, a redelivery, a
 * take-over), or of none.
 */
export type History = 'all' | 'failures' | 'off'

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
  maxAttempts: 5,
  retryDelay: 1000,
  retryMaxDelay: 60_000,
  history: 'failures',
  historyTtl: 24 * 3600_000,
}
