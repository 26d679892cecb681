import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@conveyor/service'
import {
  controls,
  inspect,
  isPassing,
  type Keys,
  Liveness,
  lastTrims,
  Rates,
  type StreamState,
} from '@conveyor/stream'
import type { Job, Mark, Snapshot, Verdict } from './contract.ts'
import { History } from './history.ts'
import { Judge } from './judge.ts'
import { Link } from './link.ts'
import { type Beside, counters, deltaOf, seenOf } from './snapshot.ts'
import { nothing } from './verdict.ts'

export interface WatchOptions {
  readonly url: string
  readonly keys: Keys
  readonly outputDir: string
  readonly deathBeats: number
  readonly log: Logger
  readonly jobs: () => readonly Job[]
  readonly marks: () => readonly Mark[]
}

/** Somebody who looks: gets events, and may leave some out. */
export interface Viewer {
  send(event: 'snapshot' | 'delta' | 'series', data: string): void
}

/** Ms between two looks, of which every fourth is told whole. */
const LOOK = 250
const LOOKS_PER_SNAPSHOT = 4
/** Ms between two looks at least. */
const SHORTEST = 50
/** Ms between two judgements, and between two while one is not sure. */
const JUDGE = 1000
const JUDGE_AGAIN = 250
/** Ms that Redis may take to answer: after that, people want to know. */
const PATIENCE = 2000
/** Ms for which a consumer is called fenced. */
const FENCED = 10_000
const TRIMS = 10

/** Looks at the stream and judges it for as long as there is somebody to tell, and does nothing otherwise. */
export class Watch {
  private readonly viewers = new Set<Viewer>()
  private readonly looking: Link
  private readonly judging: Link
  private readonly judge: Judge
  private readonly history = new History()
  private liveness: Liveness
  private rates = new Rates(5000)
  private snapshot: Snapshot | undefined
  private verdict: Verdict | undefined
  private state: StreamState | undefined
  private fencedBefore = new Map<string, number>()
  private fenced = new Map<string, number>()
  private newcomers = new Set<Viewer>()
  private number = 0
  private looks = 0
  /** Each of the two goes on until it finds that nobody is there, and is begun anew by the next who comes. */
  private running = false
  private isJudging = false
  private asked: Promise<Snapshot> | undefined
  /** The last delta, without its time. */
  private told = ''
  private nudge = new AbortController()

  constructor(private readonly options: WatchOptions) {
    this.looking = new Link(options.url, 'conveyor-console', PATIENCE)
    this.judging = new Link(options.url, 'conveyor-console-judge', PATIENCE * 5)
    this.judge = new Judge(options.keys, options.outputDir)
    this.liveness = new Liveness(options.deathBeats)
  }

  get size(): number {
    return this.viewers.size
  }

  /** Tells somebody, from the next look on. Returns what ends that. */
  add(viewer: Viewer): () => void {
    this.viewers.add(viewer)
    this.newcomers.add(viewer)
    this.nudge.abort()
    if (!this.running) void this.run()
    if (!this.isJudging) void this.runJudge()
    return () => {
      this.viewers.delete(viewer)
      this.newcomers.delete(viewer)
      if (this.viewers.size === 0) this.nudge.abort()
    }
  }

  /** One snapshot, with a verdict; the same for all who ask at a time. */
  once(): Promise<Snapshot> {
    this.asked ??= this.one().finally(() => {
      this.asked = undefined
    })
    return this.asked
  }

  private async one(): Promise<Snapshot> {
    let leave = () => {}
    try {
      return await new Promise<Snapshot>(resolve => {
        const send: Viewer['send'] = (event, data) => {
          if (event !== 'snapshot') return
          const snapshot = JSON.parse(data) as Snapshot
          if (snapshot.verdict.state !== 'checking') resolve(snapshot)
        }
        leave = this.add({ send })
      })
    } finally {
      leave()
    }
  }

  private async run(): Promise<void> {
    this.running = true
    // What was seen long ago says nothing of what is.
    this.liveness = new Liveness(this.options.deathBeats)
    this.rates = new Rates(5000)
    this.verdict = undefined
    this.state = undefined
    while (this.viewers.size > 0) {
      const started = performance.now()
      try {
        await this.tick()
      } catch (error) {
        this.options.log.error({ error }, 'cannot show the stream')
      }
      await this.rest(LOOK - (performance.now() - started))
    }
    this.looking.close()
    this.running = false
  }

  private async rest(ms: number): Promise<void> {
    if (this.nudge.signal.aborted) this.nudge = new AbortController()
    if (this.viewers.size === 0) return
    await sleep(SHORTEST) // however many come and go
    if (this.newcomers.size > 0) return
    await sleep(Math.max(0, ms - SHORTEST), undefined, { signal: this.nudge.signal }).catch(() => {})
  }

  private async tick(): Promise<void> {
    const whole = this.looks++ % LOOKS_PER_SNAPSHOT === 0
    if (whole || this.newcomers.size > 0 || !this.snapshot) {
      const snapshot = await this.look(++this.number, true)
      if (whole) this.history.add(snapshot)
      this.snapshot = snapshot
      const newcomers = new Set(this.newcomers)
      this.newcomers.clear()
      const text = JSON.stringify(snapshot)
      for (const viewer of this.viewers) viewer.send('snapshot', text)
      if (newcomers.size === 0) return
      const series = JSON.stringify(this.history.series)
      for (const viewer of newcomers) viewer.send('series', series)
      return
    }
    const delta = deltaOf({ ...(await this.look(this.number, false)), number: this.snapshot.number })
    if (!delta) return
    const { at: _, ...rest } = delta
    const told = JSON.stringify(rest)
    if (told === this.told) return
    this.told = told
    const text = JSON.stringify(delta)
    for (const viewer of this.viewers) viewer.send('delta', text)
  }

  private async look(number: number, whole: boolean): Promise<Snapshot> {
    const { jobs, marks } = this.options
    const common = { number, jobs: jobs(), marks: marks(), viewers: this.viewers.size }
    const found = await this.inspect(whole)
    this.state = found?.state
    if (!found) {
      const note = 'Redis does not answer'
      const verdict = this.verdict ? { ...this.verdict, state: 'unknown' as const, note } : nothing(note)
      return { ...common, at: Date.now(), status: 'unreachable', seen: null, verdict }
    }
    const { state, beside } = found
    const { at, epoch } = state
    if (epoch === undefined) {
      const verdict = nothing('nothing has been appended yet', state)
      return { ...common, at, status: 'no-stream', seen: null, verdict }
    }
    const verdict = this.verdict?.run === epoch ? this.verdict : this.checking(state)
    return { ...common, at, status: state.group ? 'ok' : 'no-group', seen: seenOf(state, beside), verdict }
  }

  private async inspect(whole: boolean): Promise<{ state: StreamState; beside: Beside } | undefined> {
    try {
      const state = await inspect(await this.looking.redis(), this.options.keys)
      this.liveness.see(state.consumers)
      this.rates.add(counters(state))
      return { state, beside: await this.beside(state, whole) }
    } catch (error) {
      if (!isPassing(error)) throw error
      this.looking.close()
      return undefined
    }
  }

  private aside: Pick<Beside, 'control' | 'vitals' | 'trims'> = {
    control: new Map(),
    vitals: new Map(),
    trims: [],
  }

  private async beside(state: StreamState, whole: boolean): Promise<Beside> {
    const { keys } = this.options
    if (whole) {
      const redis = await this.looking.redis()
      const [{ control, vitals }, trims] = await Promise.all([
        controls(redis, keys),
        lastTrims(redis, keys, TRIMS),
      ])
      this.aside = { control, vitals, trims }
    }
    const { liveness, rates } = this
    return {
      ...this.aside,
      liveness,
      rates,
      fenced: this.fencedOf(state),
      lastPackages: this.judge.lastPackages,
    }
  }

  private fencedOf({ at, consumers }: StreamState): ReadonlySet<string> {
    for (const { id, fenced } of consumers) {
      if (fenced > (this.fencedBefore.get(id) ?? fenced)) this.fenced.set(id, at)
      this.fencedBefore.set(id, fenced)
    }
    for (const [id, since] of this.fenced) if (at - since > FENCED) this.fenced.delete(id)
    return new Set(this.fenced.keys())
  }

  private checking(state: StreamState): Verdict {
    const text = 'reading the output files'
    const { bytesLeft } = this.judge
    return { ...nothing(text, state), state: 'checking', by: 'files', bytesLeft }
  }

  private async runJudge(): Promise<void> {
    this.isJudging = true
    while (this.viewers.size > 0) {
      const { state } = this
      if (state) {
        try {
          this.verdict = await this.judge.look(await this.judging.redis(), state)
        } catch (error) {
          this.judging.close()
          if (!isPassing(error)) this.options.log.error({ error }, 'cannot judge the stream')
        }
      }
      const until = performance.now() + (!state ? 20 : this.judge.unsure ? JUDGE_AGAIN : JUDGE)
      while (this.viewers.size > 0 && performance.now() < until) await sleep(50)
    }
    this.judging.close()
    this.isJudging = false
  }
}
