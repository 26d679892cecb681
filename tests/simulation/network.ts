import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { Duplex } from 'node:stream'
import type { Redis } from 'ioredis'
import { type Choice, current, type Process, type Source, serverTime, type World } from './world.ts'

/*
 * Connections to a real server that a seed decides about. ioredis writes its bytes into a Link; a request is executed
 * when its turn comes, and its reply arrives when that turn comes. Either can be lost on the way.
 */

const folder = new URL('../../stream/lua/', import.meta.url)
const digest = (text: string) => createHash('sha1').update(text).digest('hex')

/** How soon it is decided what becomes of a request that nobody waits for any more: late. */
const LINGERING = 0.02

/** Scripts that add entries to the stream. */
const ADDING = new Set(['append', 'due', 'replay'])

/** The real server. Its clock is the world's: the scripts ask a key for it. */
export class Server {
  private readonly scripts = new Map<string, { name: string; own: string }>()

  private clock = 0

  private constructor(readonly redis: Redis) {}

  /** Forgets everything. */
  async reset(): Promise<void> {
    this.clock = 0
    await this.redis.flushall()
  }

  static async on(redis: Redis): Promise<Server> {
    const server = new Server(redis)
    for (const file of readdirSync(folder)) {
      const source = readFileSync(new URL(file, folder), 'utf8')
      const own = source
        .replaceAll(`redis.call('TIME')`, `redis.call('MGET', 'clock:seconds', 'clock:micros')`)
        .replaceAll(`'*'`, `(redis.call('GET', 'clock') .. '-*')`)
      await redis.script('LOAD', own)
      server.scripts.set(digest(source), { name: file.replace('.lua', ''), own: digest(own) })
    }
    await redis.config('SET', 'stream-node-max-entries', '4')
    return server
  }

  /** The script's name, or the command's. */
  nameOf([command, script]: Buffer[]): string {
    const name = String(command).toLowerCase()
    return (name === 'evalsha' && this.scripts.get(String(script))?.name) || name
  }

  async execute(args: Buffer[], now: number): Promise<unknown> {
    const [command, ...rest] = args as [Buffer, ...Buffer[]]
    const name = String(command).toLowerCase()
    const script = name === 'evalsha' ? this.scripts.get(String(rest[0])) : undefined
    if (script) rest[0] = Buffer.from(script.own)
    const block = name === 'xreadgroup' ? rest.findIndex(word => String(word) === 'BLOCK') : -1
    if (block > 0) rest.splice(block, 2)
    const clock = { clock: now, 'clock:seconds': Math.floor(now / 1000), 'clock:micros': (now % 1000) * 1000 }
    if (this.clock !== now) void this.redis.mset(clock)
    this.clock = now
    const [reply] = await Promise.allSettled([this.redis.callBuffer(String(command), ...rest)])
    if (reply.status === 'rejected') return reply.reason as Error
    // How long an entry has been idle is by the real clock. Nobody looks at it.
    if (name === 'xpending') for (const row of reply.value as unknown[][]) row[2] = 0
    return reply.value
  }
}

interface Request {
  readonly name: string
  readonly args: Buffer[]
}

export class Network implements Source {
  private links: Link[] = []
  private made = 0
  /** Until then nothing is executed. */
  stalledUntil = 0
  /** Until then nobody can connect. */
  downUntil = 0
  /** Counts what may end the waiting of blocked reads. */
  added = 0
  /** Called after a request was executed, before its reply is on its way. */
  executed: (name: string, link: Link) => void = () => {}

  constructor(
    readonly world: World,
    readonly server: Server,
  ) {
    networks.set(world, this)
    world.sources.push(this)
  }

  connect(process: Process): Link {
    if (this.downUntil > this.world.now) throw new Error('connect ECONNREFUSED')
    const link = new Link(this, process, `${process.name}#${++this.made}`)
    this.links.push(link)
    return link
  }

  get open(): Link[] {
    return this.links.filter(link => link.isOpen)
  }

  /** Whether something may still be executed that nobody waits for. */
  get haunted(): boolean {
    return this.links.some(link => !link.isOpen && link.loaded)
  }

  choices(): Choice[] {
    this.links = this.links.filter(link => !link.over)
    return this.links.flatMap(link => link.choices())
  }

  wakes(): number[] {
    return [this.stalledUntil, this.downUntil, ...this.links.flatMap(link => link.wakes())]
  }
}

const networks = new WeakMap<World, Network>()

/** One connection, as the client's socket. */
export class Link extends Duplex {
  private input: Buffer = Buffer.alloc(0)
  private readonly requests: Request[] = []
  private readonly replies: Buffer[] = []
  /** The server has closed, or the client has: replies get lost, and the requests may or may not arrive. */
  private cut = false
  /** When the client learns of it. */
  private noticed = Infinity
  private heldUntil = 0
  /** Of a blocking read: when it ends, and how much had been added when it last looked. */
  private blocked: { until: number; added: number } | undefined

  constructor(
    private readonly network: Network,
    readonly process: Process,
    readonly id: string,
  ) {
    super()
  }

  get isOpen(): boolean {
    return !this.cut && this.process.alive
  }

  /** Whether requests are on their way. */
  get loaded(): boolean {
    return this.requests.length > 0
  }

  /** Nothing can happen to it any more. */
  get over(): boolean {
    return this.cut && this.requests.length === 0 && (this.destroyed || !this.process.alive)
  }

  /** Ends it: the client learns of it `noticed` ms later. `lost`: requests on their way are lost, too. */
  break(noticed: number, lost: boolean): void {
    if (!this.cut) this.noticed = this.network.world.now + noticed
    this.cut = true
    this.replies.length = 0
    if (lost) this.lose()
  }

  /** The client gets a part of its reply, and then nothing more. */
  tear(): void {
    const reply = this.replies[0]
    if (reply) this.process.run(() => this.push(reply.subarray(0, Math.ceil(reply.length / 2))))
    this.break(0, false)
  }

  hold(ms: number): void {
    this.heldUntil = this.network.world.now + ms
  }

  release(): void {
    this.heldUntil = 0
  }

  choices(): Choice[] {
    const { network, process } = this
    const { now } = network.world
    if (this.cut) {
      const choices: Choice[] = []
      const { alive, running } = process
      if (alive && running && this.noticed <= now && !this.destroyed)
        choices.push({ what: `${this.id} closes`, weight: process.pace, run: () => this.die() })
      const [request] = this.requests
      if (request && network.stalledUntil <= now)
        choices.push(
          {
            what: `${this.id} executes ${request.name}, unheard`,
            weight: LINGERING,
            run: () => this.execute(request),
          },
          { what: `${this.id} loses what was sent`, weight: LINGERING, run: () => this.lose() },
        )
      return choices
    }
    if (!process.alive) {
      this.break(Infinity, false)
      return this.choices()
    }
    if (this.heldUntil > now) return []
    const choices: Choice[] = []
    const [request] = this.requests
    if (request && network.stalledUntil <= now && !this.waits)
      choices.push({
        what: `${this.id} executes ${request.name}`,
        weight: process.pace,
        run: () => this.execute(request),
      })
    const [reply] = this.replies
    if (reply && process.running)
      choices.push({
        what: `${this.id} gets ${summary(reply)}`,
        weight: process.pace,
        run: () => this.receive(reply),
      })
    return choices
  }

  wakes(): number[] {
    return [this.heldUntil, this.blocked?.until ?? 0, this.noticed]
  }

  private get waits(): boolean {
    const { added, world } = this.network
    return this.blocked !== undefined && this.blocked.added === added && this.blocked.until > world.now
  }

  private async execute(request: Request): Promise<void> {
    const { network } = this
    const reply = await network.server.execute(request.args, serverTime(network.world))
    const block = request.name === 'xreadgroup' && reply === null
    if (block && !this.cut) {
      this.blocked ??= { until: network.world.now + blockOf(request), added: 0 }
      this.blocked.added = network.added
      if (this.blocked.until > network.world.now) return
    }
    this.blocked = undefined
    this.requests.shift()
    if (ADDING.has(request.name)) network.added++
    if (reply instanceof Error) network.world.note(`  ${reply.message.slice(0, 100)}`)
    if (!this.cut) this.replies.push(encode(reply))
    network.executed(request.name, this)
  }

  private lose(): void {
    this.requests.length = 0
  }

  private receive(reply: Buffer): void {
    this.replies.shift()
    this.process.run(() => this.push(reply))
  }

  private die(): void {
    this.noticed = Infinity
    this.process.run(() => this.destroy())
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.input = Buffer.concat([this.input, chunk])
    for (;;) {
      const parsed = parse(this.input)
      if (!parsed) break
      this.input = this.input.subarray(parsed.length)
      const name = this.network.server.nameOf(parsed.args)
      // What ioredis says of itself when it connects is of no interest; replies are encoded in RESP 2.
      if (name === 'hello') this.push('-NOPROTO\r\n')
      else if (name === 'client') this.push('+OK\r\n')
      else this.requests.push({ name, args: parsed.args })
    }
    done()
  }

  /** The client is done with it; what it has sent may still arrive. */
  close(): void {
    this.break(0, false)
  }

  setNoDelay(): void {}
  setKeepAlive(): void {}
}

function blockOf({ args }: Request): number {
  return Number(args[args.findIndex(word => String(word) === 'BLOCK') + 1])
}

/** The first command in some bytes, and how many it takes. */
function parse(input: Buffer): { args: Buffer[]; length: number } | undefined {
  let at = 0
  const header = (): number | undefined => {
    const end = input.indexOf('\r\n', at)
    if (end < 0) return undefined
    const value = Number(input.toString('latin1', at + 1, end))
    at = end + 2
    return value
  }
  const count = header()
  if (count === undefined) return undefined
  const args: Buffer[] = []
  for (let i = 0; i < count; i++) {
    const size = header()
    if (size === undefined || at + size + 2 > input.length) return undefined
    args.push(input.subarray(at, at + size))
    at += size + 2
  }
  return { args, length: at }
}

function encode(value: unknown): Buffer {
  if (value === null || value === undefined) return Buffer.from('$-1\r\n')
  if (typeof value === 'number') return Buffer.from(`:${value}\r\n`)
  if (value instanceof Error) return Buffer.from(`-${value.message}\r\n`)
  if (Array.isArray(value)) return Buffer.concat([Buffer.from(`*${value.length}\r\n`), ...value.map(encode)])
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])
}

function summary(reply: Buffer): string {
  return reply.toString('latin1', 0, 160).replaceAll('\r\n', ' ')
}

/** ioredis, whose connections are links when a process makes them. */
export function virtualRedis(actual: typeof Redis): typeof Redis {
  class Connector {
    private link: Link | undefined
    check(): boolean {
      return true
    }
    async connect(): Promise<Link> {
      const process = current() as Process
      this.link = (networks.get(process.world) as Network).connect(process)
      return this.link
    }
    disconnect(): void {
      this.link?.close()
    }
  }
  return class extends (actual as unknown as new (url: string, options: object) => Redis) {
    constructor(url: string, options: object) {
      super(url, current() ? { ...options, Connector } : options)
    }
  } as unknown as typeof Redis
}
