import type { Message } from './message.ts'

/** A package that its handler is done with. */
export interface Finished {
  readonly message: Message
  /** What the handler returned. */
  readonly result: unknown
}

/** Where packages come from. With a message's id it is what identifies it for ever. */
export interface Origin {
  readonly stream: string
  /** Consumers of other groups get the same messages, and store them for themselves. */
  readonly group: string
  readonly epoch: string
  /** Who brings them. */
  readonly consumer: string
}

/**
 * A place outside of Redis where packages go that are done, before they are acknowledged.
 *
 * It is given packages again whose fate is unknown: after a lost session or answer, by the same or another process,
 * maybe while an earlier call is still under way. They count once if it keeps one of each (stream, group, epoch, message id).
 */
export interface Sink {
  /** Calls that a session makes at the same time, at most; default 1. */
  readonly concurrency?: number
  /**
   * Stores packages, 1 to 1000. Resolves when they are safe, with those that it can never take and why: entry id to
   * detail. They go to the dead letters. Rejects when it may not have stored them: they are given to it again, after a
   * while, for as long as the session lasts.
   *
   * @param signal aborted when the session is over
   */
  store(packages: readonly Finished[], origin: Origin, signal: AbortSignal): Promise<Refused>
}

/** Packages that a sink cannot take: id of the entry to the reason. */
export type Refused = ReadonlyMap<string, string>
