import { setTimeout as sleep } from 'node:timers/promises'
import { replayDeadLetter } from '@conveyor/stream'
import type { Draw, Kind } from './schedule.ts'
import type { Slot } from './slot.ts'
import type { World } from './world.ts'

/** A fault that has been drawn: what it needs for itself, and how it is done. */
export interface Fault {
  /** What it is done to. */
  readonly target: string
  /** No other fault that uses one of these happens at the same time. */
  readonly uses: readonly string[]
  run(): Promise<void>
}

const MINUTE = 60_000

/** Draws a fault of a kind. */
export const draw: Record<Kind, (world: World, draw: Draw) => Fault> = {
  kill(world, draw) {
    const victims = [draw.one(world.slots), ...(draw.chance(0.2) ? [draw.one(world.slots)] : [])]
    return {
      ...on(...victims),
      run: async () => void (await Promise.all(victims.map(slot => slot.kill(draw.between(0, 1000))))),
    }
  },

  pause(world, draw) {
    const slot = draw.one(world.slots)
    const [process, ms] = [slot.alive[0], draw.between(50, draw.chance(0.3) ? 4000 : 1000)]
    return {
      ...on(slot),
      async run() {
        process?.send('SIGSTOP')
        await sleep(ms)
        process?.send('SIGCONT')
      },
    }
  },

  twin(world, draw) {
    const slot = draw.one(world.of('consumer').filter(({ wanted }) => wanted))
    const ms = draw.between(500, 4000)
    return {
      ...on(slot),
      async run() {
        const [first] = slot.alive
        first?.send('SIGSTOP')
        const second = slot.start()
        await Promise.race([second.exited, sleep(ms)])
        first?.send('SIGCONT')
      },
    }
  },

  'redis-kill': ({ pipeline }, draw) => ({
    target: 'redis',
    uses: ['redis'],
    run: () => pipeline.crashRedis(() => sleep(draw.between(0, 1000))),
  }),

  'redis-pause': ({ pipeline }, draw) => ({
    target: 'redis',
    uses: ['redis'],
    async run() {
      pipeline.pauseRedis()
      await sleep(draw.between(50, 2500))
      pipeline.resumeRedis()
    },
  }),

  cut(world, draw) {
    const slots = draw.chance(0.2) ? world.slots : [draw.one(world.slots)]
    const gap = draw.between(0, 100)
    return {
      ...onWires(...slots),
      async run() {
        for (const { wire } of slots) {
          await wire.cutAll()
          await sleep(gap)
        }
      },
    }
  },

  partition(world, draw) {
    const slot = draw.one(world.slots)
    const ms = draw.between(100, 3000)
    return {
      ...onWires(slot),
      async run() {
        slot.wire.pause()
        await sleep(ms)
        slot.wire.resume()
      },
    }
  },

  'half-open'(world, draw) {
    const slot = draw.one(world.slots)
    return { ...onWires(slot), run: async () => slot.wire.blackhole() }
  },

  drop(world, draw) {
    const slot = draw.one(world.slots)
    // Skips some, so that it is not always the one that comes most often.
    let skip = Math.floor(draw.between(0, 8))
    const match = () => skip-- <= 0
    const lose = draw.one([
      () => slot.wire.dropNextReply(match),
      () => slot.wire.cutMidReply(match),
      () => slot.wire.dropNextReply(match, { thenCut: false }),
    ])
    return {
      ...onWires(slot),
      // Nothing may be asked for a while; what was asked later loses its reply then.
      run: async () => void (await Promise.race([lose().catch(() => {}), sleep(1000)])),
    }
  },

  delay(world, draw) {
    const slots = draw.chance(0.3) ? world.slots : [draw.one(world.slots)]
    const [by, ms] = [draw.between(1, 200), draw.between(200, 3000)]
    return {
      ...onWires(...slots),
      async run() {
        for (const { wire } of slots) wire.delay(by)
        await sleep(ms)
        for (const { wire } of slots) wire.delay(0)
      },
    }
  },

  disk: ({ disks }, draw) => ({
    target: 'output',
    uses: ['disk'],
    async run() {
      await disks?.output.fill()
      await sleep(draw.between(200, 3000))
      await disks?.output.empty()
    },
  }),

  'flush-none': world => ({
    target: 'machine',
    uses: [
      'redis',
      'disk',
      'clock',
      'consumers',
      ...world.slots.flatMap(slot => [...on(slot).uses, ...onWires(slot).uses]),
    ],
    run: () => world.cutPower(),
  }),

  scale(world, draw) {
    const consumers = world.of('consumer')
    const wanted = consumers.filter(slot => slot.wanted)
    const [away] = consumers.filter(slot => !slot.wanted)
    const most = 2 * world.initialConsumers
    if (wanted.length > 1 && (wanted.length >= most || draw.chance(0.5))) {
      const slot = draw.one(wanted)
      slot.wanted = false // from now on, so that one always stays
      const { uses } = onWires(slot)
      return {
        target: `${slot.name} leaves`,
        uses: ['consumers', 'disk', 'redis', ...on(slot).uses, ...uses],
        run: () => slot.leave(),
      }
    }
    return {
      target: 'one more',
      uses: ['consumers'],
      async run() {
        if (away) away.wanted = true
        else await world.addConsumer()
      },
    }
  },

  clock: ({ clock }, draw) => ({
    target: 'redis',
    uses: ['clock'],
    run: async () => clock?.set(draw.between(-1, 1) * draw.one([1000, MINUTE, 60 * MINUTE])),
  }),

  replay: ({ pipeline }) => ({
    target: 'dead letters',
    uses: ['replay'],
    async run() {
      const { client, keys } = pipeline
      for (const { id } of await pipeline.deadLetters()) {
        const back = await Promise.all([1, 2].map(() => replayDeadLetter(client, keys, id)))
        if (back.every(entry => entry !== undefined)) throw new Error(`dead letter ${id} came back twice`)
      }
    },
  }),
}

function on(...slots: Slot[]): Pick<Fault, 'target' | 'uses'> {
  return { target: slots.map(({ name }) => name).join(' '), uses: slots.map(({ name }) => name) }
}

function onWires(...slots: Slot[]): Pick<Fault, 'target' | 'uses'> {
  const target = slots.length > 1 ? 'all' : (slots[0]?.name ?? '')
  return { target, uses: slots.map(({ name }) => `wire of ${name}`) }
}
