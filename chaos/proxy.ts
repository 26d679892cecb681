import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { isPush, RespFrames } from './resp-frames.ts'

/**
 * A wire to Redis that can be cut, held, slowed and made to lose one reply. Faults are exact: a request
 * is forwarded whole, replies are counted, so "the reply to this request" is never another one's.
 */
export interface RedisProxy {
  readonly port: number
  /** `redis://127.0.0.1:<port>` */
  readonly url: string
  /** How many clients are connected. */
  readonly connections: number
  /** Resets every connection, on both sides. Resolves when they are closed. */
  cutAll(): Promise<void>
  /** Holds back all bytes both ways, and the ends of connections too; clients can still connect. */
  pause(): void
  /** Lets through what was held back, in order. */
  resume(): void
  /** Loses all bytes both ways on the connections there are, for ever; new ones work. */
  blackhole(): void
  /** Everything from now on arrives `ms` later, each way; order is kept. 0 ends it. */
  delay(ms: number): void
  /**
   * Lets Redis execute the next request that matches, and loses its reply; then resets the connection,
   * or with `thenCut: false` keeps it open and silent: nothing that Redis says on it passes any more.
   *
   * @param match gets the text of one whole request in RESP, e.g. `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`
   * @returns when it has happened; rejects when the connection or the proxy is closed before
   */
  dropNextReply(match: Match, options?: { thenCut?: boolean }): Promise<void>
  /**
   * Like dropNextReply, but passes the first half of the reply's bytes before it resets the connection.
   * Node.js reports a reset that arrives together with bytes as their end: an `end`, no ECONNRESET.
   */
  cutMidReply(match: Match): Promise<void>
  /** Resets every connection and stops listening. */
  close(): Promise<void>
}

export type Match = (request: string) => boolean

/** Gets each request that is forwarded; what it returns gets the reply, unless that is lost. */
export type Observer = (request: Buffer) => ((reply: Buffer) => void) | undefined

/** What waits for its request: in order of being asked for, each is used once. */
interface Trap {
  match: Match
  reply: 'drop' | 'half' | 'silence'
  sprung: () => void
  failed: (error: Error) => void
}

/** What all connections share. */
interface Weather {
  raw: boolean
  paused: boolean
  delayMs: number
  traps: Trap[]
  observe: Observer | undefined
}

/**
 * Starts a proxy on 127.0.0.1. It connects to the target once per client, so the target may come and
 * go. Subscribers, MONITOR and CLIENT REPLY OFF are not for it: their replies cannot be counted.
 *
 * @param raw for another protocol than Redis': bytes pass as they come, and no request can be matched; default false
 */
export async function startProxy({
  target,
  observe,
  raw = false,
}: {
  target: { host: string; port: number }
  observe?: Observer
  raw?: boolean
}): Promise<RedisProxy> {
  const weather: Weather = { raw, paused: false, delayMs: 0, traps: [], observe }
  const wires = new Set<Wire>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, near => {
    const wire = new Wire(near, connect({ ...target, allowHalfOpen: true, noDelay: true }), weather)
    wires.add(wire)
    wire.closed.then(() => wires.delete(wire))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const set = (match: Match, reply: Trap['reply']) => {
    const happened = new Promise<void>((sprung, failed) => {
      weather.traps.push({ match, reply, sprung, failed })
    })
    // A test that fails elsewhere and never awaits this must not fail a second time.
    happened.catch(() => {})
    return happened
  }
  const cutAll = async () => {
    await Promise.all([...wires].map(wire => wire.cut()))
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get connections() {
      return [...wires].filter(({ near }) => !near.destroyed && !near.readableEnded).length
    },
    cutAll,
    pause() {
      weather.paused = true
    },
    resume() {
      weather.paused = false
      for (const wire of wires) wire.flush()
    },
    blackhole() {
      for (const wire of wires) wire.lose()
    },
    delay(ms) {
      weather.delayMs = ms
    },
    dropNextReply: (match, { thenCut = true } = {}) => set(match, thenCut ? 'drop' : 'silence'),
    cutMidReply: match => set(match, 'half'),
    async close() {
      const closed = once(server, 'close')
      server.close()
      await cutAll()
      await closed
      for (const { failed } of weather.traps.splice(0)) failed(new Error('proxy closed: no request matched'))
    },
  }
}

/** One client's connection and its counterpart to the target. */
class Wire {
  readonly near: Socket
  readonly #far: Socket
  readonly #weather: Weather
  readonly #toFar: Lane
  readonly #toNear: Lane
  /** When both sockets are closed. */
  readonly closed: Promise<unknown>
  #requests = 0
  #replies = 0
  /** Who wants to see which reply. */
  readonly #observers = new Map<number, (reply: Buffer) => void>()
  /** The trap that a request went into, and which reply is its own. */
  #caught: { trap: Trap; reply: number } | undefined

  constructor(near: Socket, far: Socket, weather: Weather) {
    this.near = near
    this.#far = far
    this.#weather = weather
    this.#toFar = new Lane(weather, item => pass(item, far, request => this.#forward(request)))
    this.#toNear = new Lane(weather, item => pass(item, near, reply => this.#answer(reply)))
    feed(near, far, this.#toFar, weather.raw)
    feed(far, near, this.#toNear, weather.raw)
    this.closed = Promise.all(
      [near, far].map(socket => new Promise(resolve => socket.once('close', resolve))),
    )
    this.closed.then(() => this.#caught?.trap.failed(new Error('connection closed before the reply')))
  }

  flush(): void {
    this.#toFar.flush()
    this.#toNear.flush()
  }

  lose(): void {
    this.#toFar.lose()
    this.#toNear.lose()
  }

  async cut(): Promise<void> {
    this.lose()
    reset(this.near)
    reset(this.#far)
    await this.closed
  }

  #forward(request: Buffer): void {
    this.#requests += 1
    const { traps } = this.#weather
    const index = this.#caught ? -1 : traps.findIndex(({ match }) => match(request.toString()))
    const [trap] = index < 0 ? [] : traps.splice(index, 1)
    if (trap) this.#caught = { trap, reply: this.#requests }
    const observer = this.#weather.observe?.(request)
    if (observer) this.#observers.set(this.#requests, observer)
    this.#far.write(request)
  }

  #answer(reply: Buffer): void {
    if (!isPush(reply)) this.#replies += 1
    if (isPush(reply) || this.#replies !== this.#caught?.reply) {
      this.near.write(reply)
      this.#show(reply)
      return
    }
    const { trap } = this.#caught
    this.#caught = undefined
    this.#toNear.lose()
    if (trap.reply === 'silence') {
      trap.sprung()
      return
    }
    const part = trap.reply === 'half' ? Math.ceil(reply.length / 2) : 0
    // A reset takes back what the system has not taken over yet: earlier replies too.
    this.near.write(reply.subarray(0, part), () => this.cut().then(trap.sprung))
  }

  #show(reply: Buffer): void {
    if (isPush(reply)) return
    this.#observers.get(this.#replies)?.(reply)
    this.#observers.delete(this.#replies)
  }
}

type Item = Buffer | 'end' | 'reset'

/** Hands items over in order, each when it is due, unless they are held back or lost. */
class Lane {
  readonly #weather: Weather
  readonly #deliver: (item: Item) => void
  #waiting: { item: Item; due: number }[] = []
  #timer: NodeJS.Timeout | undefined
  #lost = false

  constructor(weather: Weather, deliver: (item: Item) => void) {
    this.#weather = weather
    this.#deliver = deliver
  }

  add(item: Item): void {
    if (this.#lost) return
    this.#waiting.push({ item, due: performance.now() + this.#weather.delayMs })
    this.flush()
  }

  flush(): void {
    clearTimeout(this.#timer)
    while (!this.#weather.paused) {
      const next = this.#waiting[0]
      if (!next) return
      const wait = next.due - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => this.flush(), Math.ceil(wait))
        return
      }
      this.#waiting.shift()
      this.#deliver(next.item)
    }
  }

  lose(): void {
    this.#lost = true
    this.#waiting = []
    clearTimeout(this.#timer)
  }
}

/** Brings what arrives at `source` onto its lane, as whole requests or replies unless it is raw. */
function feed(source: Socket, sink: Socket, lane: Lane, raw: boolean): void {
  const frames = raw ? { push: (chunk: Buffer) => [chunk] } : new RespFrames()
  source.on('data', chunk => {
    // One write for all that came together.
    sink.cork()
    for (const frame of frames.push(chunk)) lane.add(frame)
    sink.uncork()
    if (sink.writableNeedDrain) {
      source.pause()
      sink.once('drain', () => source.resume())
    }
  })
  source.on('end', () => lane.add('end'))
  // 'close' follows and says that there was one.
  source.on('error', () => {})
  source.on('close', hadError => lane.add(hadError ? 'reset' : 'end'))
}

function pass(item: Item, sink: Socket, write: (bytes: Buffer) => void): void {
  if (item === 'reset') reset(sink)
  else if (item === 'end') sink.end()
  else if (!sink.destroyed) write(item)
}

/** Node.js fails to reset a socket that is just sending its end (EINVAL), and then never says that it is closed. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
