import { type Keys, keysOf } from '@conveyor/stream'

/** What runs: where packages are appended, where they are written, and which services do it. */
export interface Flow {
  /** The stream whose packages are written. */
  readonly keys: Keys
  /** The stage before it, if there is one. */
  readonly first?: Keys
  /** How packages get from the first stage to the next: appended to it, or through a broker. */
  readonly by?: 'forwarding' | 'rabbitmq'
  /** Whether rows of tables are what comes in, and not what a producer emits. */
  readonly rows?: boolean
  /** What the producer emits, unless something else is asked for. */
  readonly mix?: string
  /** What the first stage does, or the only one, unless something else is asked for. */
  readonly handler?: string
  /** Where packages are written, unless something else is asked for; default files. */
  readonly sink?: 'postgres'
}

/** A producer and consumers on one stream. */
function oneStage(): Flow {
  const { STREAM, GROUP } = process.env
  return { keys: keysOf(STREAM || 'number_stream', GROUP || 'consumer_group') }
}

const TWO = { first: keysOf('queue_a', 'processors'), keys: keysOf('queue_b', 'writers') }

/** By their names on the command line. */
export const FLOWS = {
  /** `queue_a` -> processors -> `queue_b` -> writers. */
  stages: (): Flow => ({ ...TWO, by: 'forwarding', mix: 'query=1', handler: 'demo' }),
  /** `queue_a` -> processors -> an exchange, its queue -> a bridge -> `queue_b` -> writers -> rows. */
  rabbitmq: (): Flow => ({ ...TWO, by: 'rabbitmq', sink: 'postgres' }),
  /** Tables of orders -> a source -> `orders` -> consumers, which check them -> rows. */
  orders: (): Flow => ({
    keys: keysOf('orders', 'consumer_group'),
    rows: true,
    handler: 'demo',
    sink: 'postgres',
  }),
}

export type FlowName = keyof typeof FLOWS

export const flowOf = (name: FlowName | undefined): Flow => (name ? FLOWS[name] : oneStage)()
