import { random } from './random.ts'

/** Each kind of fault, how often it comes relative to the others, and what it is. */
export const FAULTS = {
  kill: { weight: 6, what: 'SIGKILL of consumers and producers, started again within a second' },
  pause: { weight: 6, what: 'SIGSTOP of a consumer or producer, for shorter or longer than death takes' },
  twin: { weight: 2, what: 'a second process under the id of a stopped consumer, which then continues' },
  'redis-kill': { weight: 2, what: 'kill -9 of Redis, and a restart on what it left' },
  'redis-pause': { weight: 2, what: 'SIGSTOP of Redis: connections stand, nothing is answered' },
  cut: { weight: 6, what: 'connections reset, of one service or one after another of all' },
  partition: { weight: 3, what: 'nothing passes on the connections of a service for a while' },
  'half-open': { weight: 2, what: 'connections stay open, and nothing passes on them ever again' },
  drop: { weight: 6, what: 'a request is executed, its reply lost, cut in half, or never to come' },
  delay: { weight: 4, what: 'everything takes up to 200 ms longer, each way' },
  disk: { weight: 2, what: 'the disk of the output files is full for a while' },
  'flush-none': {
    weight: 1,
    what: 'power cut of the whole machine: on the disks of Redis and of the output is only what was flushed',
  },
  scale: { weight: 4, what: 'consumers added, and asked to leave' },
  clock: { weight: 4, what: "Redis' clock jumps, by up to an hour, both ways" },
  replay: { weight: 2, what: 'all dead letters replayed, by two at once' },
} as const

export type Kind = keyof typeof FAULTS
export const KINDS = Object.keys(FAULTS) as Kind[]

/** Draws of a fault, the same for the same seed. */
export class Draw {
  private readonly random: () => number

  constructor(seed: number) {
    this.random = random(seed)
  }

  /** From `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.random() * (most - least)
  }

  chance(share: number): boolean {
    return this.random() < share
  }

  one<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)] as T
  }
}

export interface Planned {
  readonly kind: Kind
  /** Ms after the begin of the run. */
  readonly at: number
  readonly draw: Draw
}

/** Faults without end: what, when and with which draws follows from the seed. At random times, `every` ms on average. */
export function* schedule(seed: number, kinds: readonly Kind[], every: number): Generator<Planned> {
  const next = random(seed)
  const pool = kinds.flatMap(kind => Array.from({ length: FAULTS[kind].weight }, () => kind))
  for (let at = 0; ; ) {
    at += -Math.log(1 - next()) * every
    const kind = pool[Math.floor(next() * pool.length)] as Kind
    yield { kind, at, draw: new Draw(Math.floor(next() * 2 ** 32)) }
  }
}
