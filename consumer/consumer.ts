import { resolve } from 'node:path'
import type { Logger } from '@conveyor/service'
import {
  consume,
  DEFAULTS,
  type Events,
  type Forward,
  isBehind,
  keysOf,
  measureConsumer,
  type Sink,
  type StreamEvent,
} from '@conveyor/stream'
import { Subject } from 'rxjs'
import type { ConsumerConfig } from './config.ts'
import type { LoadedHandler } from './handler.ts'
import { logEvents } from './log-events.ts'
import { openSink } from './sink.ts'

/** What `GET /status` answers. Counts are of this process. */
export interface ConsumerStatus {
  consumer: string
  epoch: string | null
  /** Whether a session is open. */
  session: boolean
  processed: number
  /** Attempts that failed and are to be made again. */
  retried: number
  dead: number
  /** Messages appended to the next stream. */
  forwarded: number
  fenced: number
  claimed: number
  /** Entries delivered before, here or elsewhere, that were handed over again. */
  redelivered: number
  /** Bytes of output that reached the disk. */
  written: number
  /** Why the output cannot be written now. */
  outputBlocked: string | null
  restarts: number
}

/** One member of the group: reads, handles, commits, writes its file. */
export class Consumer {
  readonly events: Events = new Subject<StreamEvent>()
  readonly status: ConsumerStatus

  constructor(
    private readonly config: ConsumerConfig,
    private readonly loaded: LoadedHandler,
    private readonly log: Logger,
  ) {
    this.status = {
      consumer: config.CONSUMER_ID,
      epoch: null,
      session: false,
      processed: 0,
      retried: 0,
      dead: 0,
      forwarded: 0,
      fenced: 0,
      claimed: 0,
      redelivered: 0,
      written: 0,
      outputBlocked: null,
      restarts: 0,
    }
    this.events.subscribe(event => this.note(event))
    logEvents(this.events, log)
    measureConsumer(this.events, keysOf(config.STREAM, config.GROUP), config.CONSUMER_ID)
  }

  /** Whether a session is open and its output can be written. */
  get ready(): boolean {
    return this.status.session && this.status.outputBlocked === null
  }

  /** Runs until `stop` is aborted and what was in hand is settled and written. Rejects as `consume` errors. */
  async run(stop: AbortSignal): Promise<void> {
    const opened = await openSink(this.config, this.log, stop)
    try {
      if (!stop.aborted) await this.consume(stop, opened?.sink)
    } finally {
      await opened?.close()
    }
  }

  private consume(stop: AbortSignal, sink: Sink | undefined): Promise<void> {
    const { config, events, log } = this
    const { handler, concurrency, timeout, maxAttempts } = this.loaded
    const group = config.GROUP
    return new Promise((done, reject) => {
      consume({
        url: config.REDIS_URL,
        keys: keysOf(config.STREAM, group),
        consumer: config.CONSUMER_ID,
        groups: [group],
        ...(config.OUTPUT === 'file' && { outputDirectory: resolve(config.OUTPUT_DIR) }),
        ...forwardOf(config),
        ...(sink && { sink }),
        handler,
        log: message => log.child({ package: message.package, attempt: message.attempt }),
        events,
        stop,
        settings: {
          beatInterval: config.BEAT_INTERVAL_MS,
          deathBeats: config.DEATH_BEATS,
          batch: config.BATCH,
          block: 500,
          maxHeld: config.MAX_HELD,
          maxHeldBytes: config.MAX_HELD_BYTES,
          maxUnflushed: config.MAX_UNFLUSHED_BYTES,
          maxDeliveries: config.MAX_DELIVERIES,
          deadline: config.COMMAND_TIMEOUT_MS,
          concurrency: config.HANDLER_CONCURRENCY ?? concurrency ?? DEFAULTS.concurrency,
          handlerTimeout: config.HANDLER_TIMEOUT_MS ?? timeout ?? DEFAULTS.handlerTimeout,
          maxAttempts: config.MAX_ATTEMPTS ?? maxAttempts ?? DEFAULTS.maxAttempts,
          retryDelay: config.RETRY_DELAY_MS,
          retryMaxDelay: config.RETRY_MAX_DELAY_MS,
          history: config.HISTORY,
          historyTtl: config.HISTORY_TTL_MS,
        },
      }).subscribe({ error: reject, complete: done })
    })
  }

  private note(event: StreamEvent): void {
    const { status } = this
    switch (event.type) {
      case 'sessionOpened':
        status.epoch = event.epoch
        status.session = true
        status.outputBlocked = null
        break
      case 'sessionClosed':
        status.session = false
        break
      case 'restarting':
        status.session = false
        status.restarts++
        break
      case 'delivered':
        if (event.again) status.redelivered += event.count
        break
      case 'committed':
        status.processed += event.done
        status.retried += event.retried
        status.dead += event.dead
        status.forwarded += event.forwarded
        break
      case 'fenced':
        status.fenced += event.count
        break
      case 'claimed':
        status.claimed += event.count
        break
      case 'flushed':
        status.written += event.bytes
        break
      case 'outputBlocked':
        status.outputBlocked = event.error.message
        break
      case 'outputResumed':
        status.outputBlocked = null
        break
    }
  }
}

/** Where it sends on to. */
function forwardOf(config: ConsumerConfig): { forward?: Forward } {
  const { FORWARD_TO, FORWARD_GROUPS: groups, FORWARD_MAX_BACKLOG: most } = config
  if (FORWARD_TO === undefined) return {}
  const next = { keys: keysOf(FORWARD_TO, groups[0] as string), groups }
  const { REDIS_URL: url, COMMAND_TIMEOUT_MS: deadline } = config
  return { forward: { ...next, full: isBehind(next, { url, deadline, most }) } }
}
