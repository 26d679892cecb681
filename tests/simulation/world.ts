import { AsyncLocalStorage } from 'node:async_hooks'
import { random } from '../../chaos/random.ts'

/*
 * Time and processes that a seed decides about. Whatever the code under test waits for (an answer of Redis, a call of
 * the file system, a timer) becomes a step; one step is taken at a time, and all that follows from it is let happen
 * before the next. Which process a piece of code belongs to is known from its asynchronous context; code outside of
 * every process has the real clock, timers, files and connections.
 */

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  Date: globalThis.Date,
  now: Date.now,
  performanceNow: performance.now.bind(performance),
  random: Math.random,
  turn: globalThis.setImmediate,
}

const context = new AsyncLocalStorage<Process>()

/** The process that the running code belongs to. */
export function current(): Process | undefined {
  return context.getStore()
}

/** Unix ms at which every simulation begins. */
const BEGIN = 1_800_000_000_000
/** Ms that a step takes at most. */
const STEP = 0.5

/** Something that can happen next. */
export interface Choice {
  readonly what: string
  readonly weight: number
  run(): void | Promise<void>
}

class Timer {
  constructor(
    readonly process: Process,
    public due: number,
    readonly every: number | undefined,
    readonly call: () => void,
  ) {}
  cancel(): void {
    this.process.timers.delete(this)
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
}

/** A process: it can be frozen between any two of its waits, and killed. */
export class Process {
  readonly timers = new Set<Timer>()
  /** Calls of the file system that were made and have not happened yet. */
  readonly calls = new Set<Choice>()
  readonly random: () => number
  alive = true
  frozenUntil = 0
  /** How often it gets its turn, compared to others. */
  pace = 1

  constructor(
    readonly world: World,
    readonly name: string,
    seed: number,
  ) {
    this.random = random(seed)
  }

  get running(): boolean {
    return this.alive && this.frozenUntil <= this.world.now
  }

  /** Runs something as this process, as long as it lives. */
  run(code: () => void): void {
    if (this.alive) context.run(this, code)
  }

  timer(call: () => void, ms = 0, every?: number): Timer {
    const timer = new Timer(this, this.world.now + Math.max(0, ms), every, call)
    this.timers.add(timer)
    return timer
  }

  /** Makes a call of the file system a step. */
  call<T>(what: string, run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const call: Choice = {
        what: `${this.name} ${what}`,
        weight: this.pace,
        run: () => {
          this.calls.delete(call)
          try {
            resolve(context.run(this, run))
          } catch (error) {
            this.world.note(`  ${(error as NodeJS.ErrnoException).code}`)
            reject(error)
          }
        },
      }
      this.calls.add(call)
    })
  }

  kill(): void {
    this.alive = false
    this.timers.clear()
    this.calls.clear()
  }

  /** Node calls timers in the order in which they are due. */
  get firstTimer(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.timers) if (!first || timer.due < first.due) first = timer
    return first
  }
}

/** What else can happen: the network. */
export interface Source {
  choices(): Choice[]
  /** When something may be possible that is not now. */
  wakes(): number[]
}

export class World {
  now = 0
  steps = 0
  readonly trace: string[] = []
  readonly problems: string[] = []
  readonly processes: Process[] = []
  readonly sources: Source[] = []
  /** All processes are equally fast. */
  calm = false
  readonly random: () => number
  /** Is not frozen or killed: it restarts others. */
  readonly supervisor: Process

  constructor(readonly seed: number) {
    this.random = random(seed)
    this.supervisor = this.start('supervisor')
  }

  start(name: string): Process {
    const process = new Process(this, name, this.seed + this.processes.length)
    this.processes.push(process)
    return process
  }

  note(what: string): void {
    this.trace.push(`${this.steps} ${this.now.toFixed(3)} ${what}`)
  }

  /** Something happened that never may. */
  fail(what: string): void {
    this.note(`PROBLEM ${what}`)
    this.problems.push(what)
  }

  /** Lets one thing happen; false when nothing ever can. */
  async step(): Promise<boolean> {
    await settle()
    this.steps++
    if (this.random() < 0.005) this.changePace()
    const choices = this.choices()
    if (choices.length === 0) {
      this.now = this.nextWake()
      return this.now < Infinity
    }
    const choice = this.choose(choices)
    this.note(choice.what)
    await choice.run()
    this.now += this.random() * STEP
    return true
  }

  /** From now on some processes are much slower than others. */
  private changePace(): void {
    for (const process of this.processes) process.pace = this.random() < 0.2 ? 0.02 : 1
  }

  private choices(): Choice[] {
    const choices = this.sources.flatMap(source => source.choices())
    for (const process of this.processes) {
      if (!process.running) continue
      choices.push(...process.calls)
      const timer = process.firstTimer
      if (timer && timer.due <= this.now)
        choices.push({ what: `${process.name} timer`, weight: process.pace, run: () => this.fire(timer) })
    }
    return choices
  }

  private choose(choices: Choice[]): Choice {
    const weigh = ({ weight }: Choice) => (this.calm ? 1 : weight)
    let at = this.random() * choices.reduce((sum, choice) => sum + weigh(choice), 0)
    for (const choice of choices) {
      at -= weigh(choice)
      if (at < 0) return choice
    }
    return choices.at(-1) as Choice
  }

  private fire(timer: Timer): void {
    if (timer.every === undefined) timer.cancel()
    else timer.due = this.now + timer.every
    timer.process.run(timer.call)
  }

  private nextWake(): number {
    let next = Infinity
    const see = (at: number) => {
      if (at > this.now && at < next) next = at
    }
    for (const process of this.processes) {
      if (!process.alive) continue
      see(process.frozenUntil)
      if (process.running) see(process.firstTimer?.due ?? Infinity)
    }
    for (const source of this.sources) source.wakes().forEach(see)
    return next
  }
}

/** Lets happen what follows from the last step: promises, ticks, streams. */
function settle(): Promise<void> {
  return new Promise(resolve => real.turn(resolve))
}

type Callback = (...args: unknown[]) => void

/** Gives processes their own clock, timers and chance; returns what takes it back. */
export function virtualize(): () => void {
  const set =
    (every: boolean) =>
    (call: Callback, ms?: number, ...args: unknown[]) => {
      const process = current()
      if (!process) return (every ? real.setInterval : real.setTimeout)(call, ms, ...args)
      return process.timer(() => call(...args), ms, every ? Math.max(1, ms ?? 0) : undefined)
    }
  const clear = (timer: Timer | NodeJS.Timeout | undefined) =>
    timer instanceof Timer ? timer.cancel() : real.clearTimeout(timer)
  Object.assign(globalThis, {
    setTimeout: set(false),
    setInterval: set(true),
    clearTimeout: clear,
    clearInterval: clear,
  })
  globalThis.Date = new Proxy(real.Date, {
    construct: (date, args) => new date(...((args.length > 0 ? args : [Date.now()]) as [number])),
  })
  Date.now = () => {
    const process = current()
    return process ? BEGIN + Math.floor(process.world.now) : real.now()
  }
  performance.now = () => current()?.world.now ?? real.performanceNow()
  Math.random = () => current()?.random() ?? real.random()
  return () => {
    const { setTimeout, clearTimeout, setInterval, clearInterval } = real
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval })
    globalThis.Date = real.Date
    Date.now = real.now
    performance.now = real.performanceNow
    Math.random = real.random
  }
}

/** Redis' clock, Unix ms. */
export function serverTime(world: World): number {
  return BEGIN + Math.floor(world.now)
}

type Timers = typeof import('node:timers/promises')

/** `node:timers/promises` by the process' clock. */
export function virtualTimers(actual: Timers) {
  return {
    ...actual,
    setImmediate: () => current()?.call('turn', () => {}) ?? actual.setImmediate(),
    setTimeout: (ms?: number, value?: unknown, options?: { signal?: AbortSignal }) => {
      const process = current()
      if (!process) return actual.setTimeout(ms, value, options)
      return new Promise((resolve, reject) => {
        const { signal } = options ?? {}
        const abort = () => {
          timer.cancel()
          reject(signal?.reason)
        }
        const timer = process.timer(() => {
          signal?.removeEventListener('abort', abort)
          resolve(value)
        }, ms)
        if (signal?.aborted) abort()
        else signal?.addEventListener('abort', abort)
      })
    },
  }
}

type Crypto = typeof import('node:crypto')

/** `node:crypto` with the process' own chance. */
export function virtualCrypto(actual: Crypto) {
  const bytes = (size: number) => {
    const process = current()
    if (!process) return actual.randomBytes(size)
    return Buffer.from(Array.from({ length: size }, () => Math.floor(process.random() * 256)))
  }
  return {
    ...actual,
    randomBytes: bytes,
    randomUUID: () => (current() ? bytes(16).toString('hex') : actual.randomUUID()),
  }
}
