/** What `GET /status` answers. Counts are of this process. */
export interface BridgeStatus {
  queue: string
  epoch: string | null
  /** Whether the queue is open. */
  broker: boolean
  /** Whether Redis answered at the last look. */
  redis: boolean
  /** Whether nothing is taken because consumers are `MAX_BACKLOG` behind. */
  full: boolean
  taken: number
  appended: number
  /** Messages that had been appended before, under the same id. */
  repeated: number
  rejected: number
  /** Messages that the broker had delivered before, here or elsewhere. */
  redelivered: number
  /** Those of them that have no messageId: they may have been appended twice. */
  redeliveredUnnamed: number
  /** Taken and not yet acknowledged. */
  held: number
  /** Connections lost, or not made. */
  restarts: number
}

export function newStatus(queue: string): BridgeStatus {
  return {
    queue,
    epoch: null,
    broker: false,
    redis: false,
    full: false,
    taken: 0,
    appended: 0,
    repeated: 0,
    rejected: 0,
    redelivered: 0,
    redeliveredUnnamed: 0,
    held: 0,
    restarts: 0,
  }
}
