import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@conveyor/service'
import { type Ingest, type Ingested, type IngestRequest, KeyReused, NotAppended } from '@conveyor/stream'
import type { Channel, ConsumeMessage } from 'amqplib'
import { BrokerLost } from './broker.ts'
import { idOf, type Reason, requestOf, Unusable } from './incoming.ts'
import { ATTRIBUTE, type Count, counter, METRIC } from './semconv.ts'
import type { BridgeStatus } from './status.ts'

export interface SettlerOptions {
  readonly ingest: Pick<Ingest, 'add'>
  readonly queue: string
  /** Bytes of a message. */
  readonly maxBytes: number
  readonly status: BridgeStatus
  readonly log: Pick<Logger, 'warn'>
  /** Ends waiting. */
  readonly signal: AbortSignal
}

/** Ms until a message is offered again for which there was no room. */
const NO_ROOM = 50

/** Appends messages, and tells the broker what has become of each. */
export class Settler {
  private readonly taken: Count
  private readonly rejected: Count
  private readonly redelivered: Count

  constructor(private readonly options: SettlerOptions) {
    const { queue } = options
    this.taken = counter(METRIC.taken, queue, 'Messages that the broker delivered')
    this.rejected = counter(METRIC.rejected, queue, 'Messages that cannot be appended')
    this.redelivered = counter(METRIC.redelivered, queue, 'Messages that had been delivered before')
  }

  /**
   * Acknowledges a message when Redis has it, or rejects one that can never be appended. One whose fate is unknown is
   * left as it is, and so comes again: rejects with `OutcomeUnknown` or `BrokerLost`, or with what cannot be mended.
   *
   * @returns whether it was appended now
   */
  async settle(message: ConsumeMessage, channel: Channel): Promise<boolean> {
    const { queue, maxBytes, status } = this.options
    this.count(message)
    status.held++
    try {
      const { repeated } = await this.append(requestOf(message, queue, maxBytes))
      answered(() => channel.ack(message))
      if (repeated) status.repeated++
      else status.appended++
      return !repeated
    } catch (error) {
      if (!(error instanceof Unusable)) throw error
      answered(() => channel.reject(message, false))
      this.noteRejected(message, error)
      return false
    } finally {
      status.held--
    }
  }

  private async append(request: IngestRequest): Promise<Ingested> {
    const { ingest, signal } = this.options
    for (;;) {
      try {
        return await ingest.add(request)
      } catch (error) {
        if (error instanceof KeyReused)
          throw new Unusable('id reused', 'within 24 h a message with this id had another content')
        if (!(error instanceof NotAppended) || signal.aborted) throw error
        await sleep(NO_ROOM, undefined, { signal }).catch(() => {})
      }
    }
  }

  private count(message: ConsumeMessage): void {
    const { status } = this.options
    status.taken++
    this.taken()
    if (!message.fields.redelivered) return
    const named = idOf(message) !== undefined
    status.redelivered++
    if (!named) status.redeliveredUnnamed++
    this.redelivered(1, { [ATTRIBUTE.named]: named })
  }

  private noteRejected(message: ConsumeMessage, { reason, detail }: Unusable): void {
    const counted: Record<string, Reason> = { [ATTRIBUTE.reason]: reason }
    this.options.status.rejected++
    this.rejected(1, counted)
    this.options.log.warn({ messageId: idOf(message), reason, detail }, 'message rejected')
  }
}

/** Sends an answer; on a channel that has ended meanwhile there is nobody to hear it. */
function answered(send: () => void): void {
  try {
    send()
  } catch (error) {
    throw new BrokerLost((error as Error).message)
  }
}
