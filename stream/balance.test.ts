import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { type Bench, bench, settle, until, useRedis } from '../tests/redis.ts'
import { RedisError } from './connection.ts'
import { consume } from './consume.ts'
import { deadLetters, purgeDeadLetter, replayDeadLetter } from './dead-letters.ts'
import { addFailure } from './failure.ts'
import { inspect } from './inspect.ts'
import { decode, type Message } from './message.ts'
import type { Outcome } from './outcome.ts'
import { Script } from './scripts.ts'
import type { Session } from './session.ts'

/*
 * Random sequences of what can happen to packages, step by step over a real Redis. After each step every package that
 * was given out is in exactly one place; at the end all is driven to its end, and each is in one line of one file, in
 * the dead letters, or purged.
 */

const on = useRedis()
const dueScript = new Script<[returned: number, next: number]>('due')
const takeScript = new Script<[claimed: string[], lost: number, ended: number]>('take')

type Kind = 'done' | 'retry' | 'later' | 'dead'
type Step =
  | { do: 'append'; count: number }
  | { do: 'read'; by: number; count: number }
  /** Settles some of what it holds; `again`: and once more, because the reply was lost. */
  | { do: 'settle'; by: number; kinds: Kind[]; again: boolean }
  /** Everything that it holds is forgotten, as by SIGKILL; `zombie`: it was only paused, and wakes up later. */
  | { do: 'kill'; by: number; zombie: boolean }
  | { do: 'wake' }
  | { do: 'claim'; by: number; from: number }
  /** Looks for what is due, several at once. */
  | { do: 'due'; lookers: number }
  /** Replays a letter, several at once. */
  | { do: 'replay'; which: number; times: number; edit: boolean }
  | { do: 'purge'; which: number }

const CONSUMERS = 3
const by = fc.nat(CONSUMERS - 1)
const kind = fc.constantFrom<Kind>('done', 'done', 'retry', 'retry', 'later', 'dead')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('read' as const), by, count: fc.integer({ min: 1, max: 5 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      by,
      kinds: fc.array(kind, { minLength: 1, maxLength: 6 }),
      again: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const), by, zombie: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wake' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('claim' as const), by, from: by }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('due' as const), lookers: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('replay' as const),
      which: fc.nat(20),
      times: fc.integer({ min: 1, max: 2 }),
      edit: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('purge' as const), which: fc.nat(20) }) },
)

const FIRST: Step = { do: 'append', count: 6 }

/** A consumer that acts step by step. */
interface Hand {
  readonly session: Session
  readonly holds: Message[]
}

class World {
  readonly purged: number[] = []
  private readonly hands: Hand[] = []
  private readonly zombies: Hand[] = []

  private constructor(private readonly b: Bench) {}

  static async start(b: Bench): Promise<World> {
    const world = new World(b)
    for (let i = 0; i < CONSUMERS; i++) world.hands.push({ session: await b.open(`c${i}`), holds: [] })
    return world
  }

  async run(step: Step): Promise<void> {
    const { b } = this
    switch (step.do) {
      case 'append':
        await b.fill(step.count)
        return
      case 'read':
        return this.read(this.hand(step.by), step.count)
      case 'settle':
        return this.settle(this.hand(step.by), step.kinds, step.again)
      case 'kill': {
        const old = this.hand(step.by)
        if (step.zombie) this.zombies.push(old)
        else old.session.dispose()
        const session = await b.open(`c${step.by}`, {}, old.session.token)
        this.hands[step.by] = { session, holds: [] }
        return
      }
      case 'wake': {
        const zombie = this.zombies.shift()
        if (zombie && zombie.holds.length > 0) {
          await expect(this.settle(zombie, ['done', 'retry', 'dead'], false)).rejects.toThrow('FENCED')
        }
        zombie?.session.dispose()
        return
      }
      case 'claim':
        return this.claim(this.hand(step.by), `c${step.from}`)
      case 'due': {
        const looks = Array.from({ length: step.lookers }, (_, i) =>
          this.due(this.hand(i % CONSUMERS).session),
        )
        await Promise.all(looks)
        return
      }
      case 'replay':
        return this.replay(step)
      case 'purge': {
        const letter = await this.letter(step.which)
        if (letter && (await purgeDeadLetter(b.redis, b.keys, letter.id)))
          this.purged.push(letter.package as number)
        return
      }
    }
  }

  private hand(i: number): Hand {
    return this.hands[i] as Hand
  }

  /** New entries, and those that are pending for it and that it does not hold. */
  private async read({ session, holds }: Hand, count: number): Promise<void> {
    const { b } = this
    const { consumer } = session.options
    await b.receive(consumer, count)
    const held = new Set(holds.map(({ entry }) => entry))
    for (const [id, , deliveries] of await b.pending(consumer)) {
      if (held.has(id)) continue
      const [[, fields] = ['', []]] = await b.redis.xrange(b.keys.stream, id, id)
      holds.push(decode(id, fields, deliveries))
    }
  }

  private async settle({ session, holds }: Hand, kinds: Kind[], again: boolean): Promise<void> {
    const messages = holds.splice(0, kinds.length)
    if (messages.length === 0) return
    const outcomes = messages.map((message, i) => outcomeOf(message, kinds[i] as Kind, session))
    await settle(session, outcomes)
    if (again) expect(await settle(session, outcomes)).toMatchObject({ done: 0, retried: 0, dead: 0 })
  }

  private async claim({ session }: Hand, from: string): Promise<void> {
    const { redis, keys } = this.b
    const { consumer } = session.options
    if (from === consumer) return
    const [token, beat] = await Promise.all([redis.hget(keys.sessions, from), redis.hget(keys.beats, from)])
    await takeScript.run(
      session.redis,
      [keys.stream, keys.sessions, keys.beats, keys.dead, keys.counts, keys.history],
      [keys.group, consumer, session.token, from, token ?? '', beat ?? '0', 1000, 3, 60_000],
    )
    // One that is judged dead by mistake finds out, and comes back.
    if ((await redis.hget(keys.sessions, from)) === '-') {
      const i = Number(from.slice(1))
      this.zombies.push(this.hand(i))
      this.hands[i] = { session: await this.b.open(from), holds: [] }
    }
  }

  private due(session: Session): Promise<unknown> {
    const { stream, head, retry, waiting, dead, counts, history, group } = this.b.keys
    const keys = [stream, head, retry, waiting, dead, counts, history]
    return dueScript.run(session.redis, keys, [session.epoch, group, 3, 1e6])
  }

  private async replay({ which, times, edit }: Extract<Step, { do: 'replay' }>): Promise<void> {
    const { redis, keys } = this.b
    const letter = await this.letter(which)
    if (!letter) return
    const replays = Array.from({ length: times }, () =>
      replayDeadLetter(redis, keys, letter.id, edit ? { edited: true } : undefined),
    )
    expect((await Promise.all(replays)).filter(entry => entry !== undefined)).toHaveLength(1)
  }

  private async letter(which: number) {
    const letters = []
    for await (const letter of deadLetters(this.b.redis, this.b.keys)) letters.push(letter)
    return letters[which % Math.max(1, letters.length)]
  }

  /** Where each package is, in the order of their numbers; each must be in one place. */
  async places(): Promise<Map<number, string[]>> {
    const places = new Map<number, string[]>()
    const see = (number: number, place: string) => places.set(number, [...(places.get(number) ?? []), place])
    for (const [number, place] of await placesIn(this.b.redis, this.b)) see(number, place)
    for (const number of this.purged) see(number, 'purged')
    return places
  }

  async finish(): Promise<void> {
    for (const { session } of [...this.hands, ...this.zombies]) session.dispose()
    const { b } = this
    const run = consume({ ...b.options('last', { retryDelay: 1 }), handler: () => {} }).subscribe()
    try {
      await until(async () => (await inspect(b.redis, b.keys)).drained, 'drained', 20_000)
    } finally {
      run.unsubscribe()
    }
  }
}

function outcomeOf(message: Message, kind: Kind, { options: { consumer } }: Session): Outcome {
  const { entry, package: number, id, attempt, replays, failures } = message
  const common = { entry, package: number, received: Date.now() }
  if (kind === 'done') return { ...common, kind, line: `package ${number}`, past: message }
  const failure = { attempt, at: Date.now(), consumer, reason: 'handler failed', detail: 'Error: no' }
  const past = {
    id,
    attempt: attempt + (kind === 'dead' ? 0 : 1),
    replays,
    failures: addFailure(failures, failure),
  }
  const why = { reason: failure.reason, detail: failure.detail, past }
  if (kind === 'dead') return { ...common, kind, ...why }
  return { ...common, kind: 'retry', delay: kind === 'later' ? 30 : 0, ...why }
}

/** Reads all places where a package can be, by looks of the test's own. */
async function placesIn(redis: Redis, { keys }: Bench): Promise<[number, string][]> {
  const found: [number, string][] = []
  const numberIn = (text = '') => Number(/"package":(\d+)/.exec(text)?.[1])
  const data = (fields: string[]) => fields[fields.indexOf('data') + 1]
  for (const consumer of await redis.hkeys(keys.files)) {
    for (const [, [, lines]] of await redis.xrange(keys.output(consumer), '-', '+'))
      for (const [, number] of (lines ?? '').matchAll(/package (\d+)/g))
        found.push([Number(number), consumer])
  }
  for (const [, fields] of await redis.xrange(keys.dead, '-', '+'))
    found.push([numberIn(data(fields)), 'dead'])
  for (const body of await redis.hvals(keys.waiting))
    found.push([numberIn(data(JSON.parse(body))), 'waiting'])
  const pending = (await redis.xpending(keys.stream, keys.group, '-', '+', 1000)) as [string][]
  for (const [id] of pending) {
    const [[, fields] = ['', []]] = await redis.xrange(keys.stream, id, id)
    found.push([numberIn(data(fields)), 'pending'])
  }
  const groups = (await redis.xinfo('GROUPS', keys.stream)) as string[][]
  const last = groups[0]?.[groups[0].indexOf('last-delivered-id') + 1]
  for (const [, fields] of await redis.xrange(keys.stream, `(${last}`, '+'))
    found.push([numberIn(data(fields)), 'undelivered'])
  return found
}

async function expectOnePlaceEach(world: World, b: Bench, after: string): Promise<void> {
  const places = await world.places()
  const { sequence } = await inspect(b.redis, b.keys)
  const all = Array.from({ length: sequence }, (_, i) => i + 1)
  const wrong = all.filter(number => places.get(number)?.length !== 1)
  const found = wrong.map(number => `${number}: ${places.get(number)?.join(' and ') ?? 'nowhere'}`)
  expect(found, after).toEqual([])
  expect(places.size, after).toBe(sequence)
}

test('whatever happens to packages, each is in exactly one place at every moment, and ends there', async () => {
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), async steps => {
      runs++
      const b = await bench(on)
      const world = await World.start(b)
      for (const [i, step] of [FIRST, ...steps].entries()) {
        await world.run(step).catch(error => {
          if (!(error instanceof RedisError && error.code === 'FENCED')) throw error
        })
        await expectOnePlaceEach(world, b, `after step ${i}: ${JSON.stringify(step)}`)
      }
      // Who looks from outside sees the same: given out is what was committed, is dead, waits, or is on its way.
      const before = await inspect(b.redis, b.keys)
      const way = [...(await world.places()).values()].filter(([place]) => place === 'undelivered')
      expect(before.sequence).toBe(
        before.done + before.dead - before.replayed + before.waiting + before.pending + way.length,
      )
      await world.finish()
      const state = await inspect(b.redis, b.keys)
      expect(state).toMatchObject({ waiting: 0, pending: 0, lag: 0, purged: world.purged.length })
      expect(state.sequence).toBe(state.done + state.dead - state.replayed)
      expect(state.deadLetters).toBe(state.dead - state.replayed - state.purged)
      expect(state.letters).toEqual(state.deadLetters > 0 ? { 'handler failed': state.deadLetters } : {})
      await expectFiles(b, world)
      await b.redis.del(...(await b.redis.keys(`*${b.keys.stream}*`)))
    }),
    { numRuns: 40, endOnFailure: true },
  )
  expect(runs).toBeGreaterThanOrEqual(40)
}, 300_000)

/** The files hold each package once, but for those that are dead or purged. */
async function expectFiles(b: Bench, world: World): Promise<void> {
  const lines: number[] = []
  for (const consumer of await b.redis.hkeys(b.keys.files)) {
    const text = await b.file(consumer).catch(() => '')
    for (const [, number] of text.matchAll(/package (\d+)/g)) lines.push(Number(number))
  }
  const dead: number[] = []
  for await (const letter of deadLetters(b.redis, b.keys)) dead.push(letter.package as number)
  const { sequence } = await inspect(b.redis, b.keys)
  const all = [...lines, ...dead, ...world.purged].sort((x, y) => x - y)
  expect(all).toEqual(Array.from({ length: sequence }, (_, i) => i + 1))
}
