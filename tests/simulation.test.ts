import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { useRedis } from './redis.ts'
import { Server } from './simulation/network.ts'
import { FAULTS, type Fault, type Plan, REQUESTS, simulate } from './simulation/run.ts'
import { virtualize } from './simulation/world.ts'

vi.mock('ioredis', async original => {
  const actual = await original<typeof import('ioredis')>()
  const { virtualRedis } = await import('./simulation/network.ts')
  return { ...actual, Redis: virtualRedis(actual.Redis) }
})
vi.mock('node:fs/promises', async original =>
  (await import('./simulation/disk.ts')).virtualFiles(await original()),
)
vi.mock('node:timers/promises', async original =>
  (await import('./simulation/world.ts')).virtualTimers(await original()),
)
vi.mock('node:crypto', async original =>
  (await import('./simulation/world.ts')).virtualCrypto(await original()),
)

const on = useRedis('--appendonly', 'no')
let server: Server
let restore: () => void
beforeAll(async () => {
  server = await Server.on(on.redis)
  restore = virtualize()
})
afterAll(() => restore?.())

const faultsOf = (kinds: Fault['what'][], requests: Fault['after'][]) =>
  fc.array(
    fc.record({
      at: fc.nat(500),
      after: fc.constantFrom(...requests),
      who: fc.nat(12),
      what: fc.constantFrom(...kinds),
      ms: fc.oneof(fc.nat(30), fc.integer({ min: 50, max: 150 }), fc.nat(1000)),
    }),
    { minLength: 2, maxLength: 20, size: 'max' },
  )

/** What the core has to fear most: processes that come, go, and go on. */
const COMING_AND_GOING: Fault['what'][] = ['freeze', 'thaw', 'replace', 'twin', 'stop', 'kill']

/** Few kinds of faults at a time: some add up to something only when they come often. */
const faults = fc
  .tuple(
    fc.oneof(
      fc.subarray([...FAULTS], { minLength: 1, maxLength: 4 }),
      fc.subarray(COMING_AND_GOING, { minLength: 2, maxLength: 4 }),
    ),
    fc.subarray([...REQUESTS], { maxLength: 4 }),
  )
  .chain(([kinds, requests]) => faultsOf(kinds, ['', ...requests]))

const plan: fc.Arbitrary<Plan> = fc.noBias(
  fc.record({
    seed: fc.noShrink(fc.nat()),
    packages: fc.integer({ min: 20, max: 60 }),
    pause: fc.constantFrom(2, 20, 60),
    faults,
  }),
)

/** Seed of the first run; the others follow. */
const FIRST = Number(process.env.SIMULATION_SEED ?? Date.now() % 1e9)
/** How many runs; default as many as fit into some seconds. */
const RUNS = Number(process.env.SIMULATION_RUNS ?? Infinity)
const MS = process.env.SIMULATION_RUNS ? Infinity : 20_000

test('a plan runs the same way twice', async () => {
  for (const one of fc.sample(plan, { seed: FIRST, numRuns: 3 })) {
    const { trace } = await simulate(server, one)
    expect(trace.length).toBeGreaterThan(300)
    expect((await simulate(server, one)).trace).toEqual(trace)
  }
})

test(
  'whatever happens, each package ends in one line of one file or in the dead letters',
  async () => {
    const seen = new Set<string>()
    const end = performance.now() + MS
    let runs = 0
    for (; runs < RUNS && performance.now() < end; runs++) {
      const found = await fc.check(
        fc.asyncProperty(plan, async one => {
          const { problems, events } = await simulate(server, one)
          for (const event of events) seen.add(event)
          return problems.length === 0
        }),
        { seed: FIRST + runs, numRuns: 1, interruptAfterTimeLimit: 60_000 },
      )
      if (found.counterexample) await explain(FIRST + runs, runs + 1, found.counterexample[0])
    }
    process.stdout.write(`${runs} simulations from SIMULATION_SEED=${FIRST}\n`)
    // They meet what they are for.
    if (runs >= 30) expect([...seen].sort()).toEqual(expect.arrayContaining([...MET].sort()))
  },
  24 * 3600_000,
)

const MET = ['delivered', 'delivered again', 'claimed', 'fenced', 'retried', 'returned', 'restarting', 'dead']

/** Fails with what is left of a plan after shrinking, and leaves the trace of its run to look at. */
async function explain(seed: number, runs: number, plan: Plan): Promise<never> {
  const { problems, trace } = await simulate(server, plan)
  const file = join(tmpdir(), `simulation-${seed}.trace`)
  await writeFile(file, trace.join('\n'))
  const faults = plan.faults.map(fault => `\n  ${JSON.stringify(fault)}`).join('')
  const { packages, pause } = plan
  throw new Error(
    `SIMULATION_SEED=${seed} SIMULATION_RUNS=1, run ${runs}: ${problems.join('\n')}\n` +
      `${packages} packages, a pause of ${pause} ms, and:${faults}\nsteps: ${file}`,
  )
}
