import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findRedisServer } from '@conveyor/redis'
import { Clock } from './clock.ts'
import { Disk } from './disk.ts'
import { FAILING_HANDLER, sha } from './inject.ts'
import { Journal } from './journal.ts'
import { Pipeline, type ServerOptions } from './pipeline.ts'
import { startProxy } from './proxy.ts'
import type { Kind } from './schedule.ts'
import { Slot } from './slot.ts'

export interface WorldOptions {
  readonly consumers: number
  readonly producers: number
  /** Packages per second of each producer. */
  readonly rate: number
  readonly appendfsync: NonNullable<ServerOptions['appendfsync']>
  /** Variables of all services, besides. */
  readonly env?: NodeJS.ProcessEnv
}

const MEGABYTE = 1 << 20

/** A Redis, consumers and producers, each on a wire of its own, and disks and a clock that can be tampered with. */
export class World {
  readonly slots: Slot[] = []
  private held = 0
  private readonly supervisor: NodeJS.Timeout

  private constructor(
    readonly pipeline: Pipeline,
    readonly journal: Journal,
    readonly disks: { readonly redis: Disk; readonly output: Disk } | undefined,
    readonly clock: Clock | undefined,
    /** Kinds of faults that this machine does not allow, and why. */
    readonly impossible: ReadonlyMap<Kind, string>,
    private readonly options: WorldOptions,
  ) {
    this.supervisor = setInterval(() => {
      if (this.held === 0) for (const slot of this.slots) slot.ensure()
    }, 50)
  }

  static async create(options: WorldOptions): Promise<World> {
    const dir = await mkdtemp(join(tmpdir(), 'conveyor-chaos-'))
    const impossible = new Map<Kind, string>()
    const { path } = await findRedisServer({ interactive: false })
    const clock = await Clock.of(path, dir).catch(() => {
      impossible.set('clock', 'needs a C compiler')
      return undefined
    })
    const disks = await makeDisks(dir).catch(() => {
      for (const kind of ['disk', 'flush-none'] as const)
        impossible.set(kind, 'needs root, mkfs.ext4 and loop devices')
      return undefined
    })
    const journal = new Journal(join(dir, 'journal.jsonl'), sha('append'))
    const pipeline = await Pipeline.startIn(
      dir,
      {
        HANDLER: FAILING_HANDLER,
        RETRY_DELAY_MS: '200',
        MAX_DELIVERIES: '100',
        COMMAND_TIMEOUT_MS: '2000',
        ...options.env,
      },
      { path: clock?.program ?? path, appendfsync: options.appendfsync },
    )
    const world = new World(pipeline, journal, disks, clock, impossible, options)
    for (let n = 1; n <= options.consumers; n++) await world.addConsumer()
    for (let n = 1; n <= options.producers; n++) await world.addProducer()
    return world
  }

  get initialConsumers(): number {
    return this.options.consumers
  }

  of(kind: Slot['kind']): Slot[] {
    return this.slots.filter(slot => slot.kind === kind)
  }

  async addConsumer(): Promise<void> {
    const name = `c${this.of('consumer').length + 1}`
    const wire = await startProxy({ target: this.target })
    this.slots.push(
      new Slot(name, 'consumer', wire, () => this.pipeline.consumer(name, { REDIS_URL: wire.url })),
    )
  }

  private async addProducer(): Promise<void> {
    const wire = await startProxy({ target: this.target, observe: this.journal.observe })
    const env = { REDIS_URL: wire.url, RATE: String(this.options.rate), TRIM_INTERVAL_MS: '500' }
    const name = `p${this.of('producer').length + 1}`
    this.slots.push(new Slot(name, 'producer', wire, () => this.pipeline.producer(0, env)))
  }

  private get target() {
    return { host: '127.0.0.1', port: this.pipeline.redis.port }
  }

  /**
   * Everything stops dead, and comes back with what had been flushed to the disks at that moment. It stands still
   * for as long as a copy of the disks takes.
   */
  async cutPower(): Promise<void> {
    const { disks, pipeline } = this
    if (!disks) throw new Error('no disks to cut the power of')
    this.held++
    try {
      const alive = this.slots.flatMap(slot => slot.alive)
      const redis = pipeline.redis.pid
      // The whole group: it may be rewriting its append-only file.
      process.kill(-redis, 'SIGSTOP')
      for (const one of alive) one.send('SIGSTOP')
      await Promise.all(alive.map(one => one.stopped()))
      await Promise.all([disks.redis.copy(), disks.output.copy()])
      await pipeline.crashRedis(async () => {
        try {
          process.kill(-redis, 'SIGKILL')
        } catch {
          // Nobody was left in it.
        }
        await Promise.all(alive.map(one => one.kill()))
        await Promise.all([disks.redis.cutPower(), disks.output.cutPower()])
      })
    } finally {
      this.held--
    }
  }

  /** Ends all faults that are going on, and waits until somebody is at work in each place. */
  async calm(): Promise<void> {
    await this.disks?.output.empty()
    await this.clock?.settle()
    this.pipeline.resumeRedis()
    for (const { wire, processes } of this.slots) {
      wire.delay(0)
      wire.resume()
      for (const one of processes) one.send('SIGCONT')
    }
    for (const slot of this.slots.filter(({ wanted }) => wanted))
      for (;;) {
        const [only, ...others] = slot.alive
        if (only?.started && others.length === 0) break
        await sleep(20)
      }
  }

  /** Ends and removes everything. */
  async close(): Promise<void> {
    clearInterval(this.supervisor)
    await this.pipeline.close({ keepFiles: true })
    for (const { wire } of this.slots) await wire.close()
    await this.journal.close()
    await this.disks?.redis.remove()
    await this.disks?.output.remove()
    await rm(this.pipeline.dir, { recursive: true, force: true })
  }
}

async function makeDisks(dir: string): Promise<{ redis: Disk; output: Disk }> {
  const redis = await Disk.make(join(dir, 'redis.img'), join(dir, 'redis'), 4096 * MEGABYTE)
  try {
    const output = await Disk.make(join(dir, 'output.img'), join(dir, 'output'), 2048 * MEGABYTE)
    return { redis, output }
  } catch (error) {
    await redis.remove()
    throw error
  }
}
