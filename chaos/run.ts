import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StreamState } from '@conveyor/stream'
import { check, type Verdict } from './checker.ts'
import { redisState } from './dump.ts'
import { draw } from './faults.ts'
import { Locks } from './locks.ts'
import { type Kind, type Planned, schedule } from './schedule.ts'
import type { Slot } from './slot.ts'
import { World, type WorldOptions } from './world.ts'

export interface RunOptions extends WorldOptions {
  readonly seed: number
  readonly kinds: readonly Kind[]
  /** Ms between the begins of two faults, on average. */
  readonly every: number
  /** How long faults go on, ms, and how many packages have to be given out, before all is let drain. */
  readonly forMs: number
  readonly packages: number
}

/** A fault as it happened: ms since the begin of the run. */
export interface Happened {
  readonly kind: Kind
  readonly target: string
  readonly from: number
  /** Undefined while it goes on. */
  to?: number
}

/** What was seen at a moment. */
export interface Sample {
  /** Ms since the begin of the run. */
  readonly at: number
  /** Packages given out, and settled, so far. */
  readonly produced: number
  readonly settled: number
  /** Given out and not settled. */
  readonly behind: number
}

export interface Result {
  readonly seed: number
  readonly ms: number
  readonly faults: readonly Happened[]
  readonly samples: readonly Sample[]
  readonly verdict: Verdict
  /** Of each SIGKILL of a consumer with something in hand: ms until all of it was settled. */
  readonly recoveries: readonly number[]
  readonly events: Readonly<
    Record<'processes' | 'sessions' | 'retries' | 'replays' | 'claimed' | 'fenced', number>
  >
  /** Ends of services that no fault accounts for, and faults that could not be done: with their last words. */
  readonly strange: readonly string[]
}

/** Ms that what was given out may take to come out when the faults are over. */
const DRAIN = 300_000

/** More of them at once only wait for each other. */
const AT_ONCE = 12

/** One run: faults, then calm, then the check. */
export class Run {
  readonly faults: Happened[] = []
  readonly samples: Sample[] = []
  readonly strange: string[] = []
  readonly recoveries: number[] = []
  state: StreamState | undefined
  phase: 'faults' | 'draining' | 'checking' | 'over' = 'faults'
  private readonly begun = performance.now()
  private readonly locks = new Locks()
  private readonly going = new Set<Promise<void>>()
  private watched: { since: number; held: readonly string[] }[] = []

  constructor(
    private readonly world: World,
    private readonly options: RunOptions,
    /** Ends the faults early, and all the rest too. */
    private readonly enough: AbortSignal,
    private readonly now: AbortSignal,
  ) {}

  get elapsed(): number {
    return performance.now() - this.begun
  }

  async finish(): Promise<Result> {
    void this.keepLooking()
    try {
      await this.inject()
      this.now.throwIfAborted()
      this.phase = 'draining'
      await this.drain().catch((error: Error) => this.strange.push(error.message))
      await Promise.all(this.world.slots.map(slot => slot.close()))
      await this.sample()
      this.phase = 'checking'
      const { pipeline, journal } = this.world
      const state = await redisState(pipeline.redis.url)
      await writeFile(join(pipeline.dir, 'redis.json'), JSON.stringify(state))
      await mkdir(join(pipeline.dir, 'logs'))
      for (const { name, processes } of this.world.slots)
        for (const [index, { output }] of processes.entries())
          await writeFile(join(pipeline.dir, 'logs', `${name}-${index + 1}.log`), output)
      await journal.flush()
      const verdict = await check(pipeline.dir)
      const { seed } = this.options
      const { faults, samples, recoveries, strange, elapsed: ms } = this
      const events = await this.events()
      return { seed, ms, faults, samples, verdict, recoveries, events, strange }
    } finally {
      this.phase = 'over'
    }
  }

  private async keepLooking(): Promise<void> {
    for (; this.phase !== 'over'; await sleep(250)) {
      await this.sample()
      await this.lookAtWatched()
    }
  }

  private async inject(): Promise<void> {
    const { seed, kinds, every, forMs, packages } = this.options
    // Faults of a system that is not there yet are of no use.
    await Promise.all(this.world.slots.map(slot => slot.start().logged(`${slot.kind} started`)))
    const begin = this.elapsed
    for (const planned of schedule(seed, kinds, every)) {
      const now = this.elapsed - begin
      if (this.enough.aborted) break
      if (Math.max(now, planned.at) > forMs && (this.state?.sequence ?? 0) >= packages) break
      await sleep(Math.max(0, planned.at - now), undefined, { signal: this.enough }).catch(() => {})
      while (this.going.size >= AT_ONCE) await Promise.race(this.going)
      const done = this.one(planned).finally(() => this.going.delete(done))
      this.going.add(done)
    }
    await Promise.all(this.going)
  }

  private async one({ kind, draw: draws }: Planned): Promise<void> {
    const fault = draw[kind](this.world, draws)
    await this.locks.hold(fault.uses, async () => {
      const happened: Happened = { kind, target: fault.target, from: this.elapsed }
      this.faults.push(happened)
      const victims = kind === 'kill' ? this.world.slots.filter(({ name }) => fault.uses.includes(name)) : []
      try {
        await fault.run()
        for (const slot of victims) if (slot.kind === 'consumer') void this.watch(slot)
      } catch (error) {
        this.strange.push(`${kind} of ${fault.target}: ${(error as Error).message}`)
      }
      happened.to = this.elapsed
    })
  }

  /** Ends the faults and lets everything that was given out come out. Rejects when it does not. */
  private async drain(): Promise<void> {
    const { pipeline, slots } = this.world
    await this.world.calm()
    await Promise.all(this.world.of('producer').map(slot => slot.leave()))
    const { sequence } = await pipeline.inspect()
    await Promise.race([pipeline.drained(sequence, DRAIN), this.hopeless()])
    await Promise.all(slots.map(slot => slot.leave()))
    await pipeline.flush()
  }

  /** Rejects when a service cannot live: it has ended by itself again and again. */
  private async hopeless(): Promise<void> {
    while (this.phase === 'draining') {
      const ends = this.world.slots.find(slot => slot.strangeEnds().length >= 5)
      if (ends) throw new Error(`${ends.name} ends again and again`)
      await sleep(200)
    }
  }

  private async events(): Promise<Result['events']> {
    const { pipeline, slots } = this.world
    this.strange.push(...slots.flatMap(slot => slot.strangeEnds()))
    const { retried, replayed, claimed, fenced } = await pipeline.inspect()
    const processes = slots.flatMap(slot => slot.processes)
    const sessions = processes.reduce((sum, one) => sum + one.lines('session opened').length, 0)
    return { processes: processes.length, sessions, retries: retried, replays: replayed, claimed, fenced }
  }

  private async sample(): Promise<void> {
    const state = await this.world.pipeline.look()
    if (!state || state.at === this.state?.at) return
    this.state = state
    const { sequence, waiting, lag, pending } = state
    const behind = waiting + lag + pending
    this.samples.push({ at: this.elapsed, produced: sequence, settled: sequence - behind, behind })
  }

  /** Notes what a killed consumer had in hand, to measure how long that waits for somebody else. */
  private async watch(slot: Slot): Promise<void> {
    const since = performance.now()
    const held = await this.world.pipeline.pending(slot.name).catch(() => [])
    if (held.length > 0) this.watched.push({ since, held })
  }

  /** Looks which of that has been settled. One look for all: a list of thousands takes its time. */
  private async lookAtWatched(): Promise<void> {
    if (this.watched.length === 0) return
    const pending = await this.world.pipeline.pending().catch(() => undefined)
    if (!pending) return
    const left = new Set(pending)
    this.watched = this.watched.filter(({ since, held }) => {
      const waits = held.some(id => left.has(id))
      if (!waits) this.recoveries.push(performance.now() - since)
      return waits
    })
  }
}

export interface ChaosOptions {
  /** Ends the faults; the check is made. */
  readonly enough?: AbortSignal
  /** Ends everything. */
  readonly now?: AbortSignal
  /** Gets the run when it begins. */
  readonly watch?: (run: Run, world: World) => void
  /** Gets the folder of what was checked, before it is removed. */
  readonly keep?: (folder: string, result: Result) => Promise<void>
}

/**
 * Makes a world, runs faults over it, and checks what came out. Kinds that this machine does not allow are left out.
 * Rejects when none is left, and when it is ended.
 */
export async function chaos(
  options: RunOptions,
  {
    enough = new AbortController().signal,
    now = new AbortController().signal,
    watch,
    keep,
  }: ChaosOptions = {},
): Promise<Result> {
  const world = await World.create(options)
  try {
    const kinds = options.kinds.filter(kind => !world.impossible.has(kind))
    if (kinds.length === 0) throw new Error([...world.impossible].map(pair => pair.join(' ')).join(', '))
    const run = new Run(world, { ...options, kinds }, AbortSignal.any([enough, now]), now)
    watch?.(run, world)
    const finished = run.finish()
    finished.catch(() => {}) // it may fail when all is over
    const ended = once(now, 'abort').then(() => Promise.race([finished, sleep(10_000)]))
    const result = await Promise.race([finished, ended])
    if (!result || now.aborted) throw new Error('it was ended')
    await keep?.(world.pipeline.dir, result)
    return result
  } finally {
    await world.close()
  }
}
