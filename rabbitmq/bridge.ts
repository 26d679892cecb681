import { ConfigError, type Logger } from '@conveyor/service'
import {
  backoff,
  type Events,
  Ingest,
  keysOf,
  measureProducer,
  NotAppended,
  OutcomeUnknown,
  type StreamEvent,
} from '@conveyor/stream'
import type { Channel, ChannelModel } from 'amqplib'
import {
  concat,
  defer,
  EMPTY,
  finalize,
  fromEvent,
  ignoreElements,
  merge,
  mergeMap,
  type Observable,
  of,
  retry,
  Subject,
  switchMap,
  takeUntil,
  tap,
  throwError,
  timer,
} from 'rxjs'
import { asked, BrokerLost, BrokerRefused, connected } from './broker.ts'
import type { BridgeConfig } from './config.ts'
import { deliveries } from './deliveries.ts'
import { type Look, looks, Room } from './room.ts'
import { Settler } from './settle.ts'
import { type BridgeStatus, newStatus } from './status.ts'
import { declareQueue } from './topology.ts'

/**
 * Ms that a message may wait for Redis. As long as this process lives it knows which of its requests are open, and no
 * other can know better: so it waits, and nothing more is taken meanwhile.
 */
const PATIENCE = 24 * 3600_000

/** Appends the messages of a queue to the stream, and acknowledges each when Redis has it. */
export class Bridge {
  readonly status: BridgeStatus
  private readonly ingest: Ingest
  private readonly settler: Settler
  private readonly room: Room
  private readonly stopping = new AbortController()
  private everOpen = false
  private saidLost = false
  private saidAway = false

  constructor(
    private readonly config: BridgeConfig,
    private readonly log: Logger,
  ) {
    const { REDIS_URL: url, STREAM: stream, GROUPS: groups, COMMAND_TIMEOUT_MS: deadline } = config
    const { AMQP_QUEUE: queue, MAX_BODY_BYTES: maxBytes } = config
    const { signal } = this.stopping
    const events: Events = new Subject<StreamEvent>()
    const keys = keysOf(stream, groups[0] as string)
    this.ingest = new Ingest({ url, keys, groups, deadline, events, signal, patience: PATIENCE })
    this.status = newStatus(queue)
    this.settler = new Settler({ ingest: this.ingest, queue, maxBytes, status: this.status, log, signal })
    this.room = new Room(config.MAX_BACKLOG)
    measureProducer(events, stream, () => ({ backpressure: this.room.full, pinnedBy: null }))
  }

  /** Whether the queue is open and Redis answers. */
  get ready(): boolean {
    return this.status.broker && this.status.redis
  }

  /** Runs until `stop` is aborted and what was taken is settled. Rejects with what cannot be mended. */
  async run(stop: AbortSignal): Promise<void> {
    const { REDIS_URL: url, STREAM: stream, GROUPS: groups, COMMAND_TIMEOUT_MS: deadline } = this.config
    const finished = new Subject<void>()
    const seen = looks({ url, stream, groups, deadline }).pipe(
      tap(look => this.look(look)),
      takeUntil(finished),
    )
    const bridged = this.bridged(stop).pipe(finalize(() => finished.next()))
    stop.addEventListener('abort', () => this.stopping.abort())
    try {
      await new Promise<void>((resolve, reject) => {
        merge(seen, bridged).pipe(ignoreElements()).subscribe({ error: reject, complete: resolve })
      })
    } finally {
      this.stopping.abort()
      await this.ingest.close()
    }
  }

  /** From connection to connection. Emits with each message that is settled. */
  private bridged(stop: AbortSignal): Observable<unknown> {
    const { AMQP_URL: url, AMQP_QUEUE: queue, COMMAND_TIMEOUT_MS: deadline } = this.config
    const finished = new Subject<void>()
    return connected({ url, name: `conveyor-rabbitmq ${queue}`, deadline }).pipe(
      switchMap(connection => defer(() => this.channel(connection))),
      switchMap(channel =>
        concat(
          this.work(channel, stop),
          defer(() => close(channel, finished)),
        ),
      ),
      finalize(() => {
        this.status.broker = false
      }),
      retry({ delay: (error, attempt) => this.again(error, attempt, stop), resetOnSuccess: true }),
      takeUntil(finished),
    )
  }

  private async channel(connection: ChannelModel): Promise<Channel> {
    const { AMQP_QUEUE: name, AMQP_QUEUE_TYPE: type, AMQP_DELIVERY_LIMIT: deliveryLimit } = this.config
    const channel = await asked(connection.createChannel(), 'AMQP_URL')
    channel.on('error', () => {}) // what was asked for rejects, and 'close' follows
    if (this.config.AMQP_DECLARE === 'yes') await declareQueue(channel, { name, type, deliveryLimit })
    else await asked(channel.checkQueue(name), 'AMQP_QUEUE')
    await asked(channel.prefetch(this.config.AMQP_PREFETCH), 'AMQP_QUEUE')
    return channel
  }

  private work(channel: Channel, stop: AbortSignal): Observable<void> {
    const { AMQP_QUEUE: queue } = this.config
    this.status.broker = true
    this.everOpen = true
    this.saidLost = false
    this.log.info({ queue }, 'queue opened')
    const open = concat(this.room.open.pipe(takeUntil(aborted(stop))), of(false))
    return deliveries(channel, queue, open).pipe(
      mergeMap(async message => {
        if (await this.settler.settle(message, channel)) this.room.fill()
        this.status.full = this.room.full
      }),
    )
  }

  /** When to try again; errors when that makes no sense. */
  private again(error: Error, attempt: number, stop: AbortSignal): Observable<unknown> {
    const refused = error instanceof BrokerRefused
    // What was right a moment ago is not what is wrong with the settings.
    if (refused && !this.everOpen)
      return throwError(() => new ConfigError(`${error.setting}: ${error.message}`))
    if (!refused && !isPassing(error)) return throwError(() => error)
    if (stop.aborted) return EMPTY
    this.status.restarts++
    if (!this.saidLost) this.log.warn({ reason: error.message }, 'no touch with the broker: trying again')
    this.saidLost = true
    return timer(backoff(attempt)).pipe(takeUntil(aborted(stop)))
  }

  private look(look: Look): void {
    const { status, log } = this
    this.room.see(look)
    status.redis = !('away' in look)
    status.full = this.room.full
    if ('away' in look) {
      if (!this.saidAway)
        log.warn({ reason: look.away.message }, 'Redis does not answer: nothing is taken from the queue')
      this.saidAway = true
      return
    }
    if (this.saidAway || look.epoch !== status.epoch) log.info({ epoch: look.epoch }, 'Redis answers')
    this.saidAway = false
    status.epoch = look.epoch
  }
}

function isPassing(error: Error): boolean {
  return error instanceof BrokerLost || error instanceof OutcomeUnknown || error instanceof NotAppended
}

/** What was acknowledged goes out before the broker is told that nothing more comes. */
async function close(channel: Channel, finished: Subject<void>): Promise<void> {
  await asked(channel.close(), 'AMQP_QUEUE')
  finished.next()
}

function aborted(signal: AbortSignal): Observable<unknown> {
  return signal.aborted ? of(undefined) : fromEvent(signal, 'abort')
}
