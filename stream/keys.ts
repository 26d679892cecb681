/** The names of everything that a stream and one of its groups keep in Redis. */
export interface Keys {
  readonly stream: string
  readonly group: string
  /** Hash: epoch, sequence, the recorded groups, the server runs that files were compared and reads counted under. */
  readonly head: string
  /** Hash: source -> id of the last row of it that was appended. Lives as long as the epoch. */
  readonly sources: string
  /** Stream: dead letters. */
  readonly dead: string
  /** Hash: consumer -> token of its session, `-` once it has ended. */
  readonly sessions: string
  /** Hash: consumer -> heartbeat counter. */
  readonly beats: string
  /** Hash: consumer -> length of its output in bytes. Lives as long as the epoch. */
  readonly files: string
  /**
   * Hash: `done:<consumer>`, dead, lost, fenced and claimed (also with `:<consumer>`), retried, replayed, purged,
   * `letters:<reason>` -> how many.
   */
  readonly counts: string
  /** Sorted set: id of the entry whose handling failed -> when its message is due again, ms by Redis' clock. */
  readonly retry: string
  /** Hash: the same ids -> JSON array of the package number and the entry's fields. */
  readonly waiting: string
  /** Set: numbers of packages whose dead letters were purged. */
  readonly purged: string
  /** Hash: consumer -> `paused` or `draining`. */
  readonly control: string
  /** Hash: consumer -> how it fares, JSON: `Vitals`. */
  readonly vitals: string
  /** Stream: what people have done to the stream and its groups. */
  readonly actions: string
  /** Stream: the last trims. */
  readonly trims: string
  /** Stream: what each commit settled, with `history: 'all'`. */
  readonly history: string
  /** List: what happened to one package, with `history` on. */
  historyOf(number: number | string): string
  /** String: last request of a producer's lane, kept for 24 h. */
  lane(process: string): string
  /** String: answer to a request from outside that carried a key with this hash, kept for 24 h. */
  idempotency(hash: string): string
  /** Stream of byte-addressed chunks: output that is committed and not yet known to be on disk. */
  output(consumer: string): string
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/

/** A name that cannot be used: it would become part of a key and of a file name. */
export class InvalidName extends Error {
  constructor(
    readonly what: string,
    readonly value: string,
  ) {
    super(`${what} ${JSON.stringify(value)} is not a name: 1 to 64 of A-Z a-z 0-9 _ - are allowed`)
    this.name = 'InvalidName'
  }
}

/** Returns `value` if it is 1 to 64 of `A-Z a-z 0-9 _ -`; throws {@link InvalidName} otherwise. */
export function checkName(what: string, value: string): string {
  if (!NAME.test(value)) throw new InvalidName(what, value)
  return value
}

/**
 * Names the keys of `stream` and `group`. All share the stream's hash slot, so a Redis Cluster keeps them
 * on one node. Throws {@link InvalidName}.
 */
export function keysOf(stream: string, group: string): Keys {
  checkName('stream', stream)
  checkName('group', group)
  const own = `{${stream}}`
  return {
    stream,
    group,
    head: `${own}:head`,
    sources: `${own}:sources`,
    dead: `${own}:dead`,
    sessions: `${own}:${group}:sessions`,
    beats: `${own}:${group}:beats`,
    files: `${own}:${group}:files`,
    counts: `${own}:${group}:counts`,
    retry: `${own}:${group}:retry`,
    waiting: `${own}:${group}:waiting`,
    purged: `${own}:${group}:purged`,
    control: `${own}:${group}:control`,
    vitals: `${own}:${group}:vitals`,
    actions: `${own}:audit`,
    trims: `${own}:trims`,
    history: `${own}:${group}:history`,
    historyOf: number => `${own}:${group}:history:${number}`,
    idempotency: hash => `${own}:idempotency:${hash}`,
    lane: process => `${own}:lane:${process}`,
    output: consumer => `${own}:${group}:output:${consumer}`,
  }
}
