import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Added,
  addSampleOrders,
  findTable,
  migrate,
  openPool,
  type Pool,
  refusalOf,
  type Samples,
  type SourceRun,
  SourceRuns,
  SourceTable,
} from '@conveyor/postgres'
import { ConfigError, type Logger } from '@conveyor/service'
import {
  type Events,
  keysOf,
  measureAppends,
  SOURCE_START,
  SourceCursor,
  type StreamEvent,
  whenReady,
} from '@conveyor/stream'
import { fromEvent, ignoreElements, merge, Subject, takeUntil, tap } from 'rxjs'
import type { SourceConfig, SourceTableName } from './config.ts'
import { Room } from './room.ts'
import { Source } from './source.ts'
import { type RunView, type SourcesStatus, type SourceView, viewOf } from './views.ts'
import { watch } from './watch.ts'

/** Redis or PostgreSQL does not answer now. */
export class Away extends Error {}

/** Ms that a statement may take which the API asked for. */
const PATIENCE = 30_000
/** Ms for statements under way at the end. */
const GRACE = 1000

/** The sources of one stream, which send at the same time; what the HTTP API shows and starts. */
export class Sources {
  readonly events: Events = new Subject<StreamEvent>()
  private readonly stopping = new AbortController()
  private readonly runs: SourceRuns
  private readonly sending: Pool
  private readonly asking: Pool
  private readonly all = new Map<string, Source>()
  private readonly cursors: SourceCursor[] = []
  private readonly room: Room
  private prepared = false
  private sent = 0

  constructor(
    private readonly config: SourceConfig,
    private readonly log: Logger,
  ) {
    const { DATABASE_URL: url, DATABASE_SCHEMA: schema, COMMAND_TIMEOUT_MS: deadline, STREAM } = config
    const connections = config.SOURCES.length
    this.room = new Room(config.MAX_BACKLOG)
    this.sending = openPool({ url, name: 'conveyor-source', deadline, connections })
    this.asking = openPool({ url, name: 'conveyor-source-api', deadline: PATIENCE, connections: 4 })
    this.runs = new SourceRuns(this.asking, schema, STREAM)
    for (const of of config.SOURCES) this.all.set(of.name, this.open(of))
    this.events.subscribe(event => this.hear(event))
    measureAppends(this.events, STREAM)
  }

  /** Runs until `stop` is aborted. Rejects with what cannot be mended. */
  async run(stop: AbortSignal): Promise<void> {
    try {
      await this.prepare(stop)
      if (stop.aborted) return
      const { REDIS_URL: url, STREAM: stream, GROUPS: groups, COMMAND_TIMEOUT_MS: deadline } = this.config
      const watched = watch({ url, stream, groups, deadline }).pipe(tap(seen => this.room.look(seen)))
      await new Promise<void>((resolve, reject) => {
        merge(watched, ...[...this.all.values()].map(source => source.work()))
          .pipe(ignoreElements(), takeUntil(fromEvent(stop, 'abort')))
          .subscribe({ error: reject, complete: resolve })
      })
    } finally {
      this.stopping.abort()
      for (const cursor of this.cursors) cursor.close()
    }
  }

  /** Lets go of PostgreSQL, when it has run. Statements under way have a second; nothing rests on their answers. */
  async close(): Promise<void> {
    const ended = Promise.all([this.sending.end(), this.asking.end()])
    await Promise.race([ended, sleep(GRACE)])
  }

  /** Why it is not ready; undefined when it is. */
  get notReady(): string | undefined {
    if (!this.prepared) return 'PostgreSQL does not answer'
    return this.room.fresh ? undefined : 'Redis does not answer, or a group is missing'
  }

  status(): SourcesStatus {
    const { backlog, sequence, behind, left } = this.room
    return {
      epoch: backlog?.epoch ?? null,
      sequence,
      sent: this.sent,
      backlog: behind,
      slowestGroup: backlog?.slowest ?? null,
      backpressure: backlog !== undefined && left <= 0,
      sources: Object.fromEntries([...this.all].map(([name, { state }]) => [name, state])),
    }
  }

  /** The source of that name, if there is one. */
  find(name: string): SourceTableName | undefined {
    return this.config.SOURCES.find(one => one.name === name)
  }

  get named(): readonly SourceTableName[] {
    return this.config.SOURCES
  }

  async view(of: SourceTableName): Promise<SourceView> {
    const { state, reason } = (this.all.get(of.name) as Source).state
    const lastRow = await this.lastRow(of).catch(() => null)
    const ask = async () => (await this.tableOf(of)).countAfter(lastRow ?? SOURCE_START)
    const [rowsWaiting, lastRun] = await Promise.all([
      lastRow === null ? null : ask().catch(() => null),
      this.runs.last(of.name).catch(() => undefined),
    ])
    const table = `${of.schema}.${of.table}`
    return {
      name: of.name,
      table,
      state,
      reason,
      lastRow,
      rowsWaiting,
      lastRun: lastRun ? this.viewOf(lastRun) : null,
    }
  }

  /** Has a source send what is in its table by now. Rejects with {@link Away}, `ConfigError`, or PostgreSQL's error. */
  async start(of: SourceTableName): Promise<RunView> {
    const { epoch, positions } = await this.positions()
    const upTo = await (await this.tableOf(of)).last()
    const run = await this.runs.start(epoch, of.name, positions[of.name] ?? SOURCE_START, upTo)
    this.all.get(of.name)?.ask()
    return this.viewOf(run)
  }

  /** @param id decimal digits */
  async runOf(of: SourceTableName, id: string): Promise<RunView | undefined> {
    const run = await this.runs.find(of.name, id)
    return run && this.viewOf(run)
  }

  /** Adds sample orders to a source's table. Rejects with `ConfigError`, or PostgreSQL's error. */
  async fill(of: SourceTableName, samples: Samples): Promise<Added> {
    return addSampleOrders(this.asking, await findTable(this.asking, of), samples)
  }

  private open(of: SourceTableName): Source {
    const {
      REDIS_URL: url,
      STREAM,
      GROUPS: groups,
      COMMAND_TIMEOUT_MS: deadline,
      BATCH,
      POLL_MS,
    } = this.config
    const keys = keysOf(STREAM, groups[0] as string)
    const { events } = this
    const { signal } = this.stopping
    const cursor = new SourceCursor({ url, keys, groups, deadline, events, signal, source: of.name })
    this.cursors.push(cursor)
    return new Source({
      of,
      cursor,
      pool: this.sending,
      runs: new SourceRuns(this.sending, this.config.DATABASE_SCHEMA, STREAM),
      room: () => this.room.left,
      batch: BATCH,
      poll: POLL_MS,
      note: ({ state, reason }) =>
        this.log[state === 'failing' ? 'warn' : 'debug']({ source: of.name, reason }, `a source is ${state}`),
    })
  }

  /** Waits for PostgreSQL, and makes sure that what is needed of it is there. */
  private async prepare(stop: AbortSignal): Promise<void> {
    const away = ({ message: reason }: Error) =>
      this.log.warn({ reason }, 'PostgreSQL cannot be reached: waiting for it')
    const work = async () => {
      await migrate(this.sending, this.config.DATABASE_SCHEMA)
      for (const of of this.config.SOURCES) await findTable(this.sending, of)
    }
    const refusal = (error: unknown) => (error instanceof ConfigError ? error : refusalOf(error))
    this.prepared = await whenReady(work, { refusal, away, signal: stop })
  }

  private async tableOf(of: SourceTableName): Promise<SourceTable> {
    return new SourceTable(this.asking, await findTable(this.asking, of), of.name)
  }

  private async lastRow({ name }: SourceTableName): Promise<string> {
    return (await this.positions()).positions[name] ?? SOURCE_START
  }

  private async positions(): Promise<{ epoch: string; positions: Readonly<Record<string, string>> }> {
    const { seen } = this.room
    if (this.notReady !== undefined || !seen) throw new Away(this.notReady)
    const { epoch, positions } = await seen.positions()
    if (epoch === undefined) throw new Away('the stream is beginning a new life')
    return { epoch, positions }
  }

  private viewOf(run: SourceRun): RunView {
    return viewOf(run, this.room.backlog?.epoch)
  }

  private hear(event: StreamEvent): void {
    if (event.type === 'appended') {
      this.sent += event.count
      this.room.appended(event.first + event.count - 1)
    } else if (event.type === 'opened') {
      const { epoch, sequence, created } = event
      if (epoch !== this.room.backlog?.epoch)
        this.log.info({ epoch, sequence }, created ? 'a new run begins' : 'the run goes on')
    } else if (event.type === 'restarting') {
      const { error, retryIn } = event
      this.log.warn({ reason: error.message, retryIn: Math.round(retryIn) }, 'lost touch with Redis')
    }
  }
}
