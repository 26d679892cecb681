import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { purgeQueue } from '@conveyor/rabbitmq'
import { DEFAULTS, flush, forget, type StreamState } from '@conveyor/stream'
import { freePort } from '../free-port.ts'
import type { StreamWatch } from '../stream-watch.ts'
import { offerFaults } from './demo.ts'
import type { Flow } from './flow.ts'
import { fillSources } from './sample-orders.ts'
import { waiting } from './summary.ts'
import { Supervisor } from './supervisor.ts'
import type { View } from './view.ts'

export interface PipelineOptions {
  /** The stream whose packages are written to files. */
  readonly watch: StreamWatch
  /** The stream of the stage before it, if there is one. */
  readonly first: StreamWatch | undefined
  readonly view: View
  /** For people: which Redis, and what else is used. */
  readonly places: readonly string[]
  readonly outputDir: string
  /** Kills Redis, which comes back; undefined for one that was not started here. */
  readonly restartRedis: (() => void) | undefined
  readonly flow: Flow
  /** Whether rows are written, and not files. */
  readonly toDatabase: boolean
  /** URL of the database, and of the broker, as far as the flow needs them. */
  readonly database: string | undefined
  readonly amqp: string | undefined
  readonly consumers: number
  readonly packages: number | undefined
  readonly rate: string | undefined
  /** Types of packages and their weights. */
  readonly mix: string | undefined
  readonly seed: number | undefined
  /** Path of a module, or `demo`. */
  readonly handler: string | undefined
}

/** How a run of the pipeline ended. */
export interface Ended {
  /** The last state seen. */
  readonly state: StreamState | undefined
  /** The same of the stage before it. */
  readonly first: StreamState | undefined
  /** Why it is not drained; undefined when it is. */
  readonly stuck: string | undefined
  /** Whether that is because of a setting that a service cannot use. */
  readonly unusable: boolean
}

/** What the producer says that it has trimmed. */
interface Trims {
  readonly operations: number
  readonly removed: number
}

/** Ms between two looks at the stream. */
const LOOK = 250
/** Orders that are put into the source tables when nothing else is asked for. */
const SAMPLES = 1000
/** Ms without any progress after which draining is given up. */
const STUCK = 30_000

/** A producer and some consumers for each stage as processes, watched until they are drained. */
export class Pipeline {
  private readonly supervisor: Supervisor
  private readonly started = performance.now()
  private state: StreamState | undefined
  private firstState: StreamState | undefined
  private producer = ''
  private console = ''
  /** Starts one more of the consumers that write. */
  private addConsumer: () => string = () => ''
  private trims: Trims = { operations: 0, removed: 0 }

  constructor(private readonly options: PipelineOptions) {
    const { watch, view, outputDir } = options
    this.supervisor = new Supervisor({
      env: {
        REDIS_URL: watch.url,
        STREAM: watch.keys.stream,
        GROUP: watch.keys.group,
        OUTPUT_DIR: resolve(outputDir),
      },
      logs: resolve('.conveyor/logs'),
      note: text => view.say(text),
    })
  }

  /** Ends the streams' present life, after writing what was committed in it. */
  async startFresh(): Promise<void> {
    const { first, watch, flow, amqp, view, toDatabase } = this.options
    if (first) await this.forget(first, false) // which writes no files
    await this.forget(watch, !toDatabase)
    if (flow.by !== 'rabbitmq' || amqp === undefined) return
    const left = await purgeQueue(amqp, watch.keys.stream, DEFAULTS.deadline)
    if (left > 0) view.say(`${left} messages of earlier runs are thrown away in RabbitMQ`)
  }

  private async forget(watch: StreamWatch, hasFiles: boolean): Promise<void> {
    const { view, outputDir } = this.options
    const redis = await watch.redis()
    const state = await watch.look()
    if (state?.epoch === undefined) return
    if (hasFiles) await flush(redis, watch.keys, resolve(outputDir))
    await forget(redis, watch.keys)
    const left = state.lag + state.pending + state.waiting
    const abandoned = [
      ...(left > 0 ? [`${left} of its packages`] : []),
      ...(state.deadLetters > 0 ? [`${state.deadLetters} dead letters`] : []),
    ]
    view.say(
      `run ${state.epoch} of ${watch.keys.stream} ends${abandoned.length > 0 ? `: ${abandoned.join(' and ')} are abandoned` : ''}${hasFiles ? '; its files stay under runs/' : ''}`,
    )
  }

  async start(): Promise<void> {
    const { first, watch, packages, rate, mix, seed, handler, flow } = this.options
    const port = await freePort(8000)
    this.producer = `http://127.0.0.1:${port}`
    this.supervisor.start('producer', 'producer', {
      PORT: String(port),
      ...(first && { STREAM: first.keys.stream, GROUPS: first.keys.group }),
      ...(flow.rows ? { RATE: '0' } : rate !== undefined && { RATE: rate }),
      ...(mix !== undefined && { MIX: mix }),
      ...(seed !== undefined && { SEED: String(seed) }),
      PACKAGES: String(flow.rows ? 0 : (packages ?? 0)),
    })
    await this.startConsole()
    const does = { ...(handler && { HANDLER: handler }) }
    const writes = this.options.toDatabase
      ? { OUTPUT: 'postgres', DATABASE_URL: this.options.database }
      : { OUTPUT: 'file' }
    if (!first) {
      await this.startConsumers('c', watch, { ...does, ...writes })
      if (flow.rows) await this.startSource()
      return
    }
    // Each stream has a producer that looks after it. This one emits nothing.
    const { stream, group } = watch.keys
    this.supervisor.start('producer', stream, { GROUPS: group, PORT: '0', RATE: '0', PACKAGES: '0' })
    await this.startConsumers('p', first, { ...does, ...this.startBetween() })
    await this.startConsumers('c', watch, { HANDLER: '', ...writes })
  }

  /** The page, which may inject faults, because it is asked for by whoever sits here. */
  private async startConsole(): Promise<void> {
    const { restartRedis } = this.options
    const port = await freePort(8080)
    this.console = `http://127.0.0.1:${port}`
    this.supervisor.start('console', 'console', { PORT: String(port), HOST: '127.0.0.1' }, child =>
      offerFaults(child, {
        consumers: () => [...this.supervisor.running('consumer')],
        signal: (consumer, signal) => this.supervisor.signal(consumer, signal),
        add: () => this.addConsumer(),
        restartRedis,
      }),
    )
    void this.announceConsole()
  }

  /** Says where the page is once it is there. */
  private async announceConsole(): Promise<void> {
    while (this.supervisor.busy('console')) {
      const { ok } = await fetch(`${this.console}/healthz`).catch(() => ({ ok: false }))
      if (ok) return this.options.view.say(`console ${this.console}`)
      await sleep(LOOK)
    }
  }

  /** Starts what is between the two stages. Returns how the first sends on what it is done with. */
  private startBetween(): NodeJS.ProcessEnv {
    const { watch, flow, amqp: AMQP_URL } = this.options
    const { stream, group } = watch.keys
    if (flow.by !== 'rabbitmq') return { OUTPUT: 'none', FORWARD_TO: stream, FORWARD_GROUPS: group }
    const broker = { AMQP_URL, AMQP_QUEUE: stream, AMQP_ROUTING_KEY: stream }
    this.supervisor.start('rabbitmq', 'bridge', { ...broker, GROUPS: group, HEALTH_PORT: '0' })
    return { OUTPUT: 'rabbitmq', ...broker }
  }

  /** Starts the source, which sends what comes into its tables, and puts sample orders there. */
  private async startSource(): Promise<void> {
    const { watch, packages, database, view } = this.options
    const port = await freePort(8001)
    this.supervisor.start('source', 'source', {
      GROUPS: watch.keys.group,
      DATABASE_URL: database,
      POLL_MS: '1000',
      PORT: String(port),
    })
    const url = `http://127.0.0.1:${port}`
    const { sequence = 0 } = (await watch.look()) ?? {}
    const count = packages ? Math.max(0, packages - sequence) : SAMPLES
    const added = await fillSources(url, count, process.env.API_TOKEN)
    view.say(`sources ${url}/docs: ${added} sample orders added`)
  }

  private async startConsumers(prefix: string, watch: StreamWatch, env: NodeJS.ProcessEnv): Promise<void> {
    const { stream: STREAM, group: GROUP } = watch.keys
    const live = await this.liveConsumers(watch)
    let n = 0
    const add = () => {
      for (n++; live.has(`${prefix}${n}`); ) n++
      const id = `${prefix}${n}`
      this.supervisor.start('consumer', id, { STREAM, GROUP, CONSUMER_ID: id, HEALTH_PORT: '0', ...env })
      return id
    }
    for (let left = this.options.consumers; left > 0; left--) add()
    this.addConsumer = add
  }

  /** Ids whose session is open and whose heart beats. What was killed with an earlier run does not. */
  private async liveConsumers(watch: StreamWatch): Promise<Set<string>> {
    const open = async () => (await watch.look())?.consumers.filter(one => one.session === 'live') ?? []
    const before = await open()
    if (before.length === 0) return new Set()
    await sleep(DEFAULTS.beatInterval * DEFAULTS.deathBeats)
    const beats = new Map(before.map(({ id, beat }) => [id, beat]))
    return new Set((await open()).filter(({ id, beat }) => beats.get(id) !== beat).map(({ id }) => id))
  }

  /** Runs until `interrupted`, or until the last package is committed; then drains. */
  async run(interrupted: AbortSignal): Promise<Ended> {
    const { packages } = this.options
    while (!interrupted.aborted) {
      await this.look(undefined)
      const appended = this.options.first ? this.firstState : this.state
      if (packages && appended && appended.sequence >= packages && this.drained) break
      if (!this.supervisor.busy('consumer')) return this.ended('no consumer is left')
      await sleep(LOOK)
    }
    return this.drain()
  }

  kill(): void {
    this.supervisor.kill()
  }

  /** Whether everything that was given out, in all stages, is done. */
  private get drained(): boolean {
    const { firstState, state } = this
    if (!state?.drained) return false
    if (!this.options.first) return true
    // What is in a broker is in neither stage: each package of the first is one of the last.
    const arrived = this.options.flow.by !== 'rabbitmq' || state.sequence >= (firstState?.done ?? 0)
    return arrived && firstState?.drained === true
  }

  private async drain(): Promise<Ended> {
    await this.supervisor.stop(['producer', 'source'])
    let progress = ''
    let since = performance.now()
    while (!this.drained) {
      const retries = this.states.map(waiting).find(text => text !== '')
      await this.look(retries ? `draining: ${retries}` : 'draining')
      if (!this.supervisor.busy('consumer')) return this.ended('no consumer is left to drain the stream')
      const now = this.states
        .map(({ lag, pending, unflushed, waiting: left, retried }) => [
          lag,
          pending,
          unflushed,
          left,
          retried,
        ])
        .join(' ')
      // A retry that is due later is no standstill, however long it takes.
      if (now !== progress || this.states.some(({ nextDue = 0 }) => nextDue > 0)) since = performance.now()
      progress = now
      if (performance.now() - since > STUCK) {
        const { lag, pending, waiting: left, unflushed } = this.states.find(({ drained }) => !drained) ?? {}
        return this.ended(
          `nothing has moved for ${STUCK / 1000} s: lag ${lag}, pending ${pending}, waiting for another attempt ${left}, for the disk ${unflushed} B`,
        )
      }
      await sleep(LOOK)
    }
    await this.look('stopping')
    return this.ended(undefined)
  }

  /** Stops what still runs and writes what no consumer has written. */
  private async ended(stuck: string | undefined): Promise<Ended> {
    const { watch, outputDir, view, toDatabase } = this.options
    await this.supervisor.stop(this.supervisor.running())
    const state = (await watch.look()) ?? this.state
    if (!toDatabase) {
      const { damaged } = await flush(await watch.redis(), watch.keys, resolve(outputDir))
      for (const { message } of damaged) view.say(message)
    }
    view.end()
    const unusable = stuck !== undefined && this.supervisor.unusable
    return { state, first: this.firstState, stuck, unusable }
  }

  private get states(): StreamState[] {
    return [this.firstState, this.state].filter(state => state !== undefined)
  }

  private async look(phase: string | undefined): Promise<void> {
    const { first, watch, view, packages, places } = this.options
    // The first stage before the second: what left the one is in the other then.
    this.firstState = (await first?.look()) ?? this.firstState
    const state = await watch.look()
    this.state = state ?? this.state
    await this.askProducer()
    if (!this.state) return
    view.show({
      state: this.state,
      ...(first && this.firstState && { first: { stream: first.keys.stream, state: this.firstState } }),
      elapsed: (performance.now() - this.started) / 1000,
      producedRate: watch.rates.produced,
      committedRate: watch.rates.committed,
      trims: this.trims,
      packages: packages || undefined,
      running: this.supervisor.running('consumer'),
      places,
      producer: this.producer,
      console: this.console,
      notes: [],
      phase: state ? phase : 'Redis does not answer',
    })
  }

  private async askProducer(): Promise<void> {
    try {
      const response = await fetch(`${this.producer}/status`, { signal: AbortSignal.timeout(LOOK) })
      const status = (await response.json()) as { trims: Trims }
      this.trims = status.trims
    } catch {
      // It is starting, stopped, or busy: the last figures stand.
    }
  }
}
