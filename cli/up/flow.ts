import { type Keys, keysOf } from '@conveyor/stream'

/** What runs: where packages are appended, where they are written to files, and which services do it. */
export interface Flow {
  /** The stream whose packages are written. */
  readonly keys: Keys
  /** The stage before it, if there is one. */
  readonly first?: Keys
  /** What the producer emits, unless something else is asked for. */
  readonly mix?: string
  /** What the first stage does, or the only one, unless something else is asked for. */
  readonly handler?: string
}

/** A producer and consumers on one stream. */
export function oneStage(): Flow {
  const { STREAM, GROUP } = process.env
  return { keys: keysOf(STREAM || 'number_stream', GROUP || 'consumer_group') }
}

/** `queue_a` -> processors -> `queue_b` -> writers. */
export function stages(): Flow {
  return {
    first: keysOf('queue_a', 'processors'),
    keys: keysOf('queue_b', 'writers'),
    mix: 'query=1',
    handler: 'demo',
  }
}
