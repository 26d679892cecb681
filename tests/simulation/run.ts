import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { Subject } from 'rxjs'
import { random } from '../../chaos/random.ts'
import { Lane } from '../../stream/append.ts'
import { connect, isPassing } from '../../stream/connection.ts'
import { consume } from '../../stream/consume.ts'
import { deadLetters, NotReplayable, replayDeadLetter } from '../../stream/dead-letters.ts'
import type { StreamEvent } from '../../stream/events.ts'
import { Reject, RetryLater } from '../../stream/failure.ts'
import type { Handler } from '../../stream/handle.ts'
import { keysOf } from '../../stream/keys.ts'
import { openStream } from '../../stream/open.ts'
import { ConsumerIdInUse } from '../../stream/session.ts'
import { DEFAULTS, type Settings } from '../../stream/settings.ts'
import { trim } from '../../stream/trim.ts'
import { type Disk, mount } from './disk.ts'
import { type Link, Network, type Server } from './network.ts'
import { type Process, World } from './world.ts'

/** What happens besides, and when. */
export interface Fault {
  /** Step at which it is due. */
  readonly at: number
  /** It waits until such a request was executed, and its victim is who made it; '' for at once. */
  readonly after: '' | (typeof REQUESTS)[number]
  /** Otherwise this decides who is its victim. */
  readonly who: number
  readonly what: (typeof FAULTS)[number]
  /** How long. */
  readonly ms: number
}

export const REQUESTS = [
  'append',
  'session',
  'xreadgroup',
  'handover',
  'commit',
  'output',
  'beat',
  'take',
  'due',
  'close',
  'replay',
] as const

export const FAULTS = [
  /** The connection is cut; what was sent is executed, or lost. The client learns of it later. */
  'cut',
  'lose',
  /** It is cut within a reply. */
  'tear',
  /** Nothing goes through it for a while. */
  'hold',
  /** The process is paused. */
  'freeze',
  /** All that are paused go on. */
  'thaw',
  /** It is killed, and started again later, or not. */
  'kill',
  'bury',
  /** It is asked to stop, and started again later. */
  'stop',
  /** Another process is started with its id; or that, and it is paused. */
  'twin',
  'replace',
  /** Redis answers nobody for a while. */
  'stall',
  /** Redis is killed and comes back, with all that it answered. */
  'restart',
  /** The machine loses power. */
  'power',
  /** The process' writes fail: no space, partly, or the disk does. */
  'full',
  'short',
  'broken',
  'unopenable',
] as const

export interface Plan {
  readonly seed: number
  readonly packages: number
  /** Ms between two requests of a producer at most: there is a backlog, or the consumers wait. */
  readonly pause: number
  readonly faults: readonly Fault[]
}

const url = 'redis://simulated:6379'
const keys = keysOf('s', 'workers')
const groups = [keys.group]
const directory = '/out'

/** Small and fast, so that every limit is met: a peer is dead after 3 beats of 20 ms. */
const SETTINGS: Settings = {
  ...DEFAULTS,
  beatInterval: 20,
  deathBeats: 3,
  block: 100,
  batch: 5,
  maxHeld: 8,
  maxHeldBytes: 2000,
  maxUnflushed: 400,
  maxDeliveries: 4,
  deadline: 200,
  concurrency: 3,
  handlerTimeout: 80,
  maxAttempts: 3,
  retryDelay: 20,
  retryMaxDelay: 100,
}

/** Virtual ms after which all has to be well again, and steps. */
const PATIENCE = 120_000
const STEPS = 60_000

interface Request {
  readonly count: number
  answer?: { first: number; count: number }
}

export interface Result {
  readonly problems: readonly string[]
  readonly trace: readonly string[]
  /** Which events there were. */
  readonly events: ReadonlySet<string>
}

/** Runs a plan: everything up to its last fault, then until all is drained, and says what is wrong then. */
export async function simulate(server: Server, plan: Plan): Promise<Result> {
  await server.reset()
  return new Run(server, plan).run()
}

class Run {
  private readonly world: World
  private readonly network: Network
  private readonly disk: Disk
  private readonly requests = new Map<string, Request>()
  /** The processes that have not ended. */
  private readonly actors = new Map<Process, Actor>()
  private readonly waiting: Fault[]
  private readonly seen = new Set<string>()
  private healed = false
  private started = 0

  constructor(
    private readonly server: Server,
    private readonly plan: Plan,
  ) {
    this.world = new World(plan.seed)
    this.network = new Network(this.world, server)
    this.disk = mount(this.world)
    this.waiting = [...plan.faults].sort((a, b) => a.at - b.at)
    this.network.executed = (name, link) => {
      const fault = this.waiting.find(({ at, after }) => at <= this.world.steps && after === name)
      if (fault) this.strike(fault, link)
    }
  }

  async run(): Promise<Result> {
    const { world } = this
    for (const id of ['c1', 'c2', 'c3']) this.consumer(id)
    for (const id of ['p1', 'p2']) this.producer(id)
    this.trimmer()
    this.operator()
    try {
      await this.until(() => this.calm(), 'the last fault')
      this.heal()
      await this.until(() => this.drained(), 'drained')
      this.stop()
      await this.until(async () => this.actors.size === 0, 'stopped')
      await this.check()
    } catch (error) {
      world.fail((error as Error).message)
    }
    for (const process of world.processes) process.kill()
    return { problems: world.problems, trace: world.trace, events: this.seen }
  }

  /** Takes steps until a condition holds, which is looked at from time to time. */
  private async until(condition: () => Promise<boolean>, what: string): Promise<void> {
    const { world } = this
    const end = world.now + PATIENCE
    for (let i = 0, over = false; ; i++) {
      if (world.problems.length > 0) throw new Error('stopped')
      if ((over || i % 20 === 0) && (await condition())) return
      if (over) throw new Error(`not ${what}, and nothing can ever happen again`)
      if (world.now > end || i > STEPS) throw new Error(`not ${what} after ${i} steps, ${PATIENCE} ms`)
      const fault = this.waiting.find(({ at, after }) => at <= world.steps && after === '')
      if (fault) this.strike(fault)
      over = !(await world.step())
    }
  }

  /** Whether the last fault was long enough ago. */
  private async calm(): Promise<boolean> {
    const last = this.plan.faults.reduce((at, fault) => Math.max(at, fault.at), 0)
    return this.world.steps > last + 200
  }

  /** From now on nothing goes wrong. */
  private heal(): void {
    const { world, network, disk } = this
    world.note('HEALED')
    this.healed = true
    this.waiting.length = 0
    world.calm = true
    network.stalledUntil = network.downUntil = 0
    for (const link of network.open) link.release()
    for (const process of world.processes) process.frozenUntil = 0
    disk.faults = []
    // Who replays for ever is never drained.
    for (const [process, { id }] of this.actors) if (id === 'operator') this.end(process)
    const consumers = [...this.actors.values()].filter(({ id }) => id.startsWith('c'))
    if (consumers.length === 0) this.consumer('c1')
  }

  private stop(): void {
    this.world.note('STOPPED')
    for (const [process, { stop }] of this.actors) {
      if (stop) process.run(() => stop.abort())
      else this.end(process)
    }
  }

  private strike(fault: Fault, at?: Link): void {
    this.waiting.splice(this.waiting.indexOf(fault), 1)
    const { what, ms, who } = fault
    const { world, network, disk } = this
    const any = <T>(all: T[]) => all[who % Math.max(1, all.length)]
    const process = at?.process ?? any([...this.actors.keys()])
    const link = at ?? any(network.open)
    const actor = process && this.actors.get(process)
    if (!process || !actor || !link) return
    world.note(`FAULT ${what} ${ms} ms ${process.name} ${link.id}`)
    const consumes = actor.id.startsWith('c')
    const fail = (call: string, code: string) =>
      disk.faults.push({ process, call, code, times: 1 + (who % 3) })
    const freeze = () => {
      process.frozenUntil = world.now + ms
    }
    const strikes: Record<Fault['what'], () => void> = {
      cut: () => link.break(ms, false),
      lose: () => link.break(ms, true),
      tear: () => link.tear(),
      hold: () => link.hold(ms),
      freeze,
      thaw: () => {
        for (const one of world.processes) one.frozenUntil = 0
      },
      kill: () => {
        this.end(process)
        this.later(ms, actor.start)
      },
      bury: () => {
        this.end(process)
        if (!consumes) this.later(ms, actor.start)
      },
      stop: () => {
        if (!actor.stop) return
        process.run(() => actor.stop?.abort())
        this.later(ms, actor.start)
      },
      twin: () => {
        if (consumes) actor.start()
      },
      replace: () => {
        freeze()
        if (consumes) actor.start()
      },
      stall: () => {
        network.stalledUntil = world.now + ms
      },
      restart: () => this.restartRedis(ms, false),
      power: () => {
        disk.powerCut(world.random)
        for (const [victim, { start }] of [...this.actors]) {
          this.end(victim)
          this.later(ms, start)
        }
        this.restartRedis(ms, true)
      },
      full: () => fail('write', 'ENOSPC'),
      short: () => fail('write', 'SHORT'),
      broken: () => fail('datasync', 'EIO'),
      unopenable: () => fail('open', 'EROFS'),
    }
    strikes[what]()
  }

  private restartRedis(ms: number, lost: boolean): void {
    const { network, server, world } = this
    for (const link of network.open) link.break(0, lost)
    network.downUntil = network.stalledUntil = world.now + ms
    // As far as anybody can tell, the files were compared under another run of the server.
    void server.redis.eval(
      `if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'audited', '0') end`,
      1,
      keys.head,
    )
  }

  private later(ms: number, start: () => void): void {
    this.world.supervisor.timer(start, ms)
  }

  /** Starts a process, which is ended by `end`. */
  private actor(
    id: string,
    start: () => void,
    body: (process: Process) => AbortController | undefined,
  ): void {
    const process = this.world.start(`${id}.${++this.started}`)
    process.run(() => {
      const stop = body(process)
      this.actors.set(process, { id, start, ...(stop && { stop }) })
    })
  }

  private end(process: Process): void {
    process.kill()
    this.actors.delete(process)
  }

  private consumer(id: string): void {
    const start = () => this.consumer(id)
    this.actor(id, start, process => {
      const stop = new AbortController()
      const events = new Subject<StreamEvent>()
      events.subscribe(event => {
        this.seen.add(event.type === 'delivered' && event.again ? 'delivered again' : event.type)
        if (event.type === 'outputDamaged' || event.type === 'outputCut') this.world.fail(describe(event))
        if (event.type === 'fenced' || event.type === 'restarting' || event.type === 'claimed')
          this.world.note(`  ${process.name} ${describe(event)}`)
      })
      const options = { url, keys, groups, consumer: id, outputDirectory: directory, settings: SETTINGS }
      consume({ ...options, events, stop: stop.signal, handler: handlerOf(this.plan.seed) }).subscribe({
        error: error => {
          this.end(process)
          if (!(error instanceof ConsumerIdInUse)) this.world.fail(`${process.name}: ${error.stack}`)
          else if (!this.healed) this.later(100, start)
        },
        complete: () => this.end(process),
      })
      return stop
    })
  }

  private producer(id: string): void {
    const { packages, pause } = this.plan
    this.actor(
      id,
      () => this.producer(id),
      process => {
        const lane = new Lane({ url, keys, groups, last: packages, deadline: SETTINGS.deadline })
        const work = async () => {
          for (let i = 1; ; i++) {
            const name = `${process.name}-${i}`
            const request: Request = { count: 1 + Math.floor(Math.random() * 4) }
            this.requests.set(name, request)
            const before = '{"timestamp_producer":1,"payload":{"package":'
            const answer = await lane.append([
              { count: request.count, before, after: `,"request":"${name}"}}` },
            ])
            request.answer = answer
            if (answer.count < request.count) break
            await sleep(Math.random() * pause)
          }
          lane.close()
          this.end(process)
        }
        work().catch(error => this.world.fail(`${process.name}: ${error.stack}`))
        return undefined
      },
    )
  }

  /** Trims now and then. */
  private trimmer(): void {
    this.visitor('trimmer', 50, async redis => {
      const { epoch } = await openStream(redis, keys, groups)
      await trim(redis, keys, { epoch, above: 12, to: 6, slice: 8 })
    })
  }

  /** Replays each message once, as long as things go wrong. */
  private operator(): void {
    if (this.healed) return
    this.visitor('operator', 60, async redis => {
      for await (const letter of deadLetters(redis, keys)) {
        if (letter.replays > 0) continue
        await replayDeadLetter(redis, keys, letter.id).catch(error => {
          if (!(error instanceof NotReplayable)) throw error
        })
      }
    })
  }

  /** Does something every now and then over one connection, and connects again when that breaks. */
  private visitor(id: string, every: number, visit: (redis: Redis) => Promise<void>): void {
    this.actor(
      id,
      () => this.visitor(id, every, visit),
      process => {
        const work = async () => {
          for (let redis: Redis | undefined; ; ) {
            try {
              redis ??= await connect(url, id, SETTINGS.deadline)
              await visit(redis)
            } catch (error) {
              if (!isPassing(error)) throw error
              redis?.disconnect()
              redis = undefined
            }
            await sleep(every)
          }
        }
        work().catch(error => this.world.fail(`${process.name}: ${error.stack}`))
        return undefined
      },
    )
  }

  /** Looks for itself whether nothing is left to do. */
  private async drained(): Promise<boolean> {
    const { redis } = this.server
    for (const { id } of this.actors.values()) if (id.startsWith('p')) return false
    if (this.world.supervisor.timers.size > 0 || this.network.haunted) return false
    if ((await redis.zcard(keys.retry)) > 0) return false
    const [pending] = (await redis.xpending(keys.stream, keys.group)) as [number]
    if (pending > 0) return false
    const [group] = (await redis.xinfo('GROUPS', keys.stream)) as string[][]
    const last = group?.[group.indexOf('last-delivered-id') + 1]
    if ((await redis.xrange(keys.stream, `(${last}`, '+', 'COUNT', 1)).length > 0) return false
    for (const consumer of await redis.hkeys(keys.files))
      if ((await redis.xlen(keys.output(consumer))) > 0) return false
    return true
  }

  /** Each package in one line of one file, as a power cut would leave them now, or in one letter. */
  private async check(): Promise<void> {
    const { world, disk } = this
    const { redis } = this.server
    if (!(await this.drained())) world.fail('not drained any more')
    const { epoch, sequence } = await redis.hgetall(keys.head)
    const places = new Map<number, { where: string; request: string }[]>()
    const see = (number: number, where: string, request: string) =>
      places.set(number, [...(places.get(number) ?? []), { where, request }])
    let lines = 0
    for (const path of disk.files(`/out/runs/${epoch}`)) {
      const name = path.split('/').at(-1) as string
      const text = disk.survivor(path) as string
      for (const line of text.split('\n').slice(0, -1)) {
        lines++
        const [, number, request] = /^package (\d+) of (\S+)$/.exec(line) ?? []
        if (number) see(Number(number), name, request as string)
        else world.fail(`${name}: ${JSON.stringify(line)}`)
      }
      if (text !== '' && !text.endsWith('\n')) world.fail(`${name} ends within a line`)
      const expected = Number(await redis.hget(keys.files, name.slice('consumer_'.length, -'.txt'.length)))
      if (text.length !== expected) world.fail(`${name}: ${text.length} bytes, Redis knows ${expected}`)
    }
    const letters = await redis.xrange(keys.dead, '-', '+')
    for (const [id, fields] of letters) {
      const [, number, request] = /"package":(\d+),"request":"(\S+?)"/.exec(fields.join(' ')) ?? []
      if (number) see(Number(number), 'dead', request as string)
      else world.fail(`letter ${id}: ${fields.join(' ')}`)
    }
    for (let number = 1; number <= this.plan.packages; number++) {
      const found = places.get(number) ?? []
      if (found.length !== 1)
        world.fail(`${number}: ${found.map(({ where }) => where).join(' and ') || 'nowhere'}`)
    }
    if (Number(sequence) !== this.plan.packages) world.fail(`sequence ${sequence}`)
    if (places.size !== this.plan.packages) world.fail(`${places.size} packages`)
    this.checkRequests(places)
    const counts = await redis.hgetall(keys.counts)
    const done = Object.entries(counts).reduce(
      (sum, [name, n]) => sum + (name.startsWith('done:') ? Number(n) : 0),
      0,
    )
    if (done !== lines) world.fail(`${done} are counted as done, ${lines} have a line`)
    const dead = Number(counts.dead ?? 0) - Number(counts.replayed ?? 0)
    if (dead !== letters.length)
      world.fail(`${dead} are counted as dead, there are ${letters.length} letters`)
  }

  /** What a producer was told is so, and no request was appended twice. */
  private checkRequests(places: Map<number, { request: string }[]>): void {
    const appended = new Map<string, number[]>()
    for (const [number, [place]] of places)
      if (place) appended.set(place.request, [...(appended.get(place.request) ?? []), number])
    for (const [name, { count, answer }] of this.requests) {
      const numbers = (appended.get(name) ?? []).sort((a, b) => a - b)
      const told = answer && Array.from({ length: answer.count }, (_, i) => answer.first + i)
      if (told ? String(told) !== String(numbers) : numbers.length > count)
        this.world.fail(`request ${name} for ${count} was told ${told}, has ${numbers}`)
    }
  }
}

interface Actor {
  readonly id: string
  readonly start: () => void
  readonly stop?: AbortController
}

/** Most packages are done at once; what becomes of the others depends on nothing but their number and attempt. */
function handlerOf(seed: number): Handler {
  return async ({ package: number, payload, attempt, replays }) => {
    const next = random(seed ^ (number * 1000 + attempt * 10 + replays))
    const chance = next()
    const line = `package ${number} of ${payload.request}`
    if (chance < 0.3) return line
    if (chance < 0.8) {
      await sleep(next() * 70)
      return line
    }
    if (chance < 0.9) throw new Error('fails')
    if (chance < 0.93) throw new Reject('is refused')
    if (chance < 0.97) throw new RetryLater(next() * 100)
    return new Promise(() => {})
  }
}

function describe(event: StreamEvent): string {
  return JSON.stringify(event, (_, value) => (value instanceof Error ? value.message : value))
}
