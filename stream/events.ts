import type { Subject } from 'rxjs'
import type { Control } from './control.ts'
import type { StreamState } from './inspect.ts'

/**
 * What happens in a stream's life, as it happens. Metrics, logs, live views and the tests' waits hang off
 * this one list; nothing in the pipeline depends on anybody listening.
 */
export type StreamEvent =
  /** Producer: entries were appended. `ms`: request to answer. */
  | { type: 'appended'; first: number; count: number; ms: number }
  /** The stream began a new life under this epoch, or was found in one. */
  | { type: 'opened'; epoch: string; sequence: number; created: boolean }
  | { type: 'sessionOpened'; consumer: string; epoch: string; output: number }
  | { type: 'sessionClosed'; consumer: string }
  /** Entries were received. `again`: delivered before, here or elsewhere. */
  | { type: 'delivered'; count: number; bytes: number; again: boolean }
  /** A batch was settled. `end`: length of the output in bytes. `ms`: request to answer. */
  | {
      type: 'committed'
      done: number
      retried: number
      dead: number
      fenced: number
      /** Messages appended to the next stream. */
      forwarded: number
      end: number
      ms: number
    }
  /** Outcomes were refused, because a peer took the entries or the session over. */
  | { type: 'fenced'; count: number }
  /** Handling failed; the message waits for `delay` ms, then it returns to the stream. `attempt`: the next one. */
  | {
      type: 'retried'
      entry: string
      package?: number
      attempt: number
      delay: number
      reason: string
      detail: string
    }
  | { type: 'dead'; entry: string; package?: number; reason: string; detail: string }
  /** Messages whose time had come returned to the stream. */
  | { type: 'returned'; count: number }
  /** Entries of a silent, closed or vanished peer were taken over. `lost`: those whose payload was gone. */
  | { type: 'claimed'; from: string; count: number; lost: number; ended: boolean }
  /** A sink has stored packages. `refused`: those that it cannot take. */
  | { type: 'stored'; count: number; refused: number; ms: number }
  /** Output reached the disk. `consumer`: whose. `to`: offset up to which all is there. */
  | { type: 'flushed'; consumer: string; bytes: number; to: number; ms: number }
  /** The output cannot be written, or the sink not reached now; what waits is in Redis, and is tried again. */
  | { type: 'outputBlocked'; consumer: string; error: Error }
  | { type: 'outputResumed'; consumer: string }
  /** A peer's output file is not what Redis says that it is. */
  | { type: 'outputDamaged'; consumer: string; error: Error }
  /** An output file was longer than Redis knows after it lost its last moments; it was cut back. */
  | { type: 'outputCut'; consumer: string; from: number; to: number; kept: string }
  /** Everything derived from Redis was thrown away and is derived again. `retryIn`: ms. */
  | { type: 'restarting'; error: Error; retryIn: number }
  /** The consumer was told to pause, to drain, or (undefined) to go on. */
  | { type: 'controlled'; consumer: string; control: Control | undefined }
  /** Somebody looked at the stream and one of its groups. */
  | { type: 'inspected'; group: string; state: StreamState }
  /** `pinnedBy`: the group that keeps the stream from being trimmed further. */
  | { type: 'trimmed'; removed: number; length: number; slices: number; pinnedBy?: string; ms: number }

export type Events = Subject<StreamEvent>

/** Says of entries that they are dead because nobody has their payload any more. */
export function tellMissing(events: Events, entries: readonly string[]): void {
  const detail = 'the entry was deleted'
  for (const entry of entries) events.next({ type: 'dead', entry, reason: 'payload missing', detail })
}
