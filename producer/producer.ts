import type { Logger, Rate } from '@conveyor/service'
import {
  type Backlog,
  type Events,
  Ingest,
  keysOf,
  Lane,
  measureProducer,
  packages,
  type StreamEvent,
  type Template,
} from '@conveyor/stream'
import {
  BehaviorSubject,
  firstValueFrom,
  fromEvent,
  ignoreElements,
  merge,
  Subject,
  take,
  takeUntil,
  tap,
} from 'rxjs'
import type { ProducerConfig } from './config.ts'
import { type Control, emit } from './emit.ts'
import { Lookup } from './lookup.ts'
import { formatMix, mixed } from './mix.ts'
import { monitor } from './monitor.ts'

/** What `GET /status` answers. */
export interface ProducerStatus {
  epoch: string | null
  /** Last package number given out, by whichever producer. */
  sequence: number
  /** Packages given out by this process. */
  produced: number
  /** Packages that the slowest group has not been delivered. */
  backlog: number
  slowestGroup: string | null
  streamLength: number
  /** Asked for, messages per second or "max". */
  rate: Rate
  paused: boolean
  /** Types of packages and their weights, and the seed that says which is which; null for nothing but numbers. */
  mix: { weights: string; seed: number } | null
  /** Whether the producer waits because the backlog is full. */
  backpressure: boolean
  /** Whether the last package that was asked for has been given out. */
  finished: boolean
  trims: { operations: number; removed: number; pinnedBy: string | null }
}

/** Emits packages, takes messages, and looks after the stream; what the HTTP API shows and changes. */
export class Producer {
  readonly events: Events = new Subject<StreamEvent>()
  /** Takes messages that come from outside. */
  readonly ingest: Ingest
  readonly lookup: Lookup
  private readonly stopping = new AbortController()
  private readonly control: BehaviorSubject<Control>
  private backlog: Backlog | undefined
  private looked = 0
  private sequence = 0
  private epoch: string | null = null
  private produced = 0
  private saidFinished = false
  /** Whether anything was appended since the last look. */
  private appending = false
  private trims = { operations: 0, removed: 0, pinnedBy: null as string | null }

  constructor(
    private readonly config: ProducerConfig,
    private readonly log: Logger,
  ) {
    const { REDIS_URL: url, STREAM: stream, GROUPS: groups, COMMAND_TIMEOUT_MS: deadline } = config
    const keys = keysOf(stream, groups[0] as string)
    const signal = this.stopping.signal
    this.ingest = new Ingest({ url, keys, groups, deadline, events: this.events, signal })
    this.lookup = new Lookup({ url, stream, groups, deadline })
    this.control = new BehaviorSubject<Control>({ rate: config.RATE, paused: false })
    this.events.subscribe(event => this.note(event))
    measureProducer(this.events, stream, () => ({
      backpressure: this.status().backpressure,
      pinnedBy: this.trims.pinnedBy,
    }))
  }

  /** Runs until `stop` is aborted and the request under way is answered. Rejects with what cannot be mended. */
  async run(stop: AbortSignal): Promise<void> {
    const {
      REDIS_URL: url,
      STREAM: stream,
      GROUPS: groups,
      PACKAGES: last,
      COMMAND_TIMEOUT_MS: deadline,
    } = this.config
    const keys = keysOf(stream, groups[0] as string)
    const lane = new Lane({ url, keys, groups, last, deadline, events: this.events, signal: stop })
    const stopped = stop.aborted ? Promise.resolve() : firstValueFrom(fromEvent(stop, 'abort').pipe(take(1)))
    const emitted = emit(this.control, {
      append: templates => lane.append(templates),
      room: () => this.room(),
      next: count => this.next(count),
    })
    const watched = monitor({
      url,
      stream,
      groups,
      deadline,
      events: this.events,
      trimInterval: this.config.TRIM_INTERVAL_MS,
      trimAbove: this.config.TRIM_ABOVE,
      trimTo: this.config.TRIM_TO,
    })
    await new Promise<void>((resolve, reject) => {
      merge(watched.pipe(tap(backlog => this.look(backlog))), emitted)
        .pipe(ignoreElements(), takeUntil(stopped))
        .subscribe({ error: reject, complete: resolve })
    })
    this.stopping.abort()
    await Promise.all([lane.idle(), this.ingest.close()])
    lane.close()
    this.lookup.close()
  }

  /** Whether Redis answers and every group was reachable a moment ago. */
  get ready(): boolean {
    return this.backlog !== undefined && performance.now() - this.looked < 2000
  }

  /** Whether consumers are so far behind that nothing more is taken. */
  get full(): boolean {
    return this.backlog !== undefined && this.space(this.backlog) <= 0
  }

  /** Whether the last package that was asked for has been given out, by whichever producer. */
  private get finished(): boolean {
    return this.config.PACKAGES > 0 && this.sequence >= this.config.PACKAGES
  }

  /** A stream that is kept from being trimmed is worth a word when it is longer than this. */
  private get longWhenPinned(): number {
    return this.config.MAX_BACKLOG / 10
  }

  status(): ProducerStatus {
    const { rate, paused } = this.control.value
    const { MIX, SEED } = this.config
    return {
      epoch: this.epoch,
      sequence: this.sequence,
      produced: this.produced,
      backlog: this.backlog ? Math.max(0, this.sequence - this.backlog.delivered) : 0,
      slowestGroup: this.backlog?.slowest ?? null,
      streamLength: this.backlog?.length ?? 0,
      rate,
      paused,
      mix: MIX ? { weights: formatMix(MIX), seed: SEED } : null,
      backpressure: this.full,
      finished: this.finished,
      trims: { ...this.trims },
    }
  }

  pause(paused: boolean): void {
    this.control.next({ ...this.control.value, paused })
  }

  setRate(rate: Rate): void {
    this.control.next({ ...this.control.value, rate })
  }

  /** Packages that may be given out before the slowest group is `MAX_BACKLOG` behind; none before the first look. */
  private room(): number {
    return this.backlog && !this.finished ? this.space(this.backlog) : 0
  }

  private space({ delivered }: Backlog): number {
    return delivered + this.config.MAX_BACKLOG - this.sequence
  }

  /** The next `count` packages. What each is goes by the number that it will have, if no other producer is at work. */
  private next(count: number): Template[] {
    const { MIX, SEED } = this.config
    return MIX ? mixed(MIX, SEED, this.sequence + 1, count) : [packages(count)]
  }

  private look(backlog: Backlog): void {
    if (backlog.epoch !== this.epoch) {
      this.epoch = backlog.epoch
      this.sequence = 0
    }
    this.backlog = backlog
    this.looked = performance.now()
    if (backlog.length <= this.longWhenPinned) this.trims.pinnedBy = null
    // A look is behind what was appended meanwhile. Otherwise it is right, also when it shows less than
    // before, because Redis has forgotten its last moments.
    const sequence = backlog.delivered + backlog.backlog
    this.sequence = this.appending ? Math.max(this.sequence, sequence) : sequence
    this.appending = false
    this.sayFinished()
  }

  /** Says once in a run that there is nothing more to do, whoever gave out the last package. */
  private sayFinished(): void {
    const saidBefore = this.saidFinished
    this.saidFinished = this.finished
    if (!this.finished || saidBefore) return
    this.log.info({ last: this.config.PACKAGES }, 'the last package has been given out')
  }

  private note(event: StreamEvent): void {
    if (event.type === 'appended') {
      this.produced += event.count
      this.sequence = event.first + event.count - 1
      this.appending = true
      this.sayFinished()
    } else if (event.type === 'trimmed') {
      this.trims.operations++
      this.trims.removed += event.removed
      // What is in flight always keeps a little; worth a warning is a group that has stopped reading.
      const pinnedBy = event.length > this.longWhenPinned ? (event.pinnedBy ?? null) : null
      if (pinnedBy && pinnedBy !== this.trims.pinnedBy) {
        this.log.warn(
          { group: pinnedBy, length: event.length },
          'a group is behind and keeps the stream from being trimmed',
        )
      }
      this.trims.pinnedBy = pinnedBy
      this.log.info({ removed: event.removed, length: event.length }, 'trimmed')
    } else if (event.type === 'opened') {
      this.log.info(
        { epoch: event.epoch, sequence: event.sequence },
        event.created ? 'a new run begins' : 'the run goes on',
      )
    } else if (event.type === 'restarting') {
      this.log.warn(
        { reason: event.error.message, retryIn: Math.round(event.retryIn) },
        'lost touch with Redis',
      )
    }
  }
}
