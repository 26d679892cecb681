import { setTimeout as sleep } from 'node:timers/promises'
import { FAILING_HANDLER, type Pipeline, random, type ServiceProcess } from '@conveyor/chaos'
import { replayDeadLetter } from '@conveyor/stream'
import { expect, test, vi } from 'vitest'
import { startPipeline } from './start-pipeline.ts'

const SECONDS = Number(process.env.CHAOS_SECONDS || 60)
const SEED = Number(process.env.CHAOS_SEED || Date.now() % 1_000_000)
const PACKAGES = (200_000 / 60) * SECONDS
const IDS = ['c1', 'c2', 'c3']

vi.setConfig({ testTimeout: SECONDS * 1000 + 300_000 })

test('a mixture of all faults, for a minute: exactly once', async () => {
  const pipeline = await startPipeline({
    HANDLER: FAILING_HANDLER,
    RETRY_DELAY_MS: '200',
  })
  const chaos = new Chaos(pipeline, SEED)
  const end = performance.now() + SECONDS * 1000
  while (performance.now() < end) {
    chaos.ensureAll()
    await chaos.fault()
  }
  await chaos.calm()
  await pipeline.when(({ sequence }) => sequence > PACKAGES, `more than ${PACKAGES} packages`)
  const packages = await pipeline.endProducing()
  await pipeline.drained(packages)
  const letters = await pipeline.deadLetters()
  const dead = letters.map(letter => letter.package as number)
  const { claimed, fenced, retried, replayed } = await pipeline.expectExactlyOnce(packages, dead)
  const events = { packages, claimed, fenced, retried, replayed, dead: dead.length, ...chaos.events() }
  console.log(
    `seed ${SEED}, ${SECONDS} s\nfaults ${JSON.stringify(chaos.counts)}\nevents ${JSON.stringify(events)}`,
  )
  expect(
    letters.filter(letter => letter.reason !== 'handler failed' || (letter.package as number) % 1000),
  ).toEqual([])
  expect(Math.min(retried, replayed)).toBeGreaterThan(0)
  for (const { exit, log, name } of pipeline.services) {
    if (exit?.code !== 1) continue
    // The only reason to end by itself: somebody else lives under the id.
    expect(log.at(-1)?.msg, name).toContain('in use by the live process')
  }
})

class Chaos {
  readonly counts: Record<string, number> = {}
  private readonly random: () => number

  constructor(
    private readonly pipeline: Pipeline,
    seed: number,
  ) {
    this.random = random(seed)
  }

  /** Starts what does not run: the three consumers and a producer. */
  ensureAll(): void {
    for (const id of IDS) if (this.alive(id).length === 0) this.pipeline.consumer(id)
    if (this.alive('producer').length === 0)
      this.pipeline.producer(0, { RATE: '8000', TRIM_INTERVAL_MS: '500' })
  }

  async fault(): Promise<void> {
    const { pipeline } = this
    const faults: Record<string, () => Promise<unknown>> = {
      kill: async () => this.consumer()?.kill(),
      kill2: async () => Promise.all([this.consumer()?.kill(), this.consumer()?.kill()]),
      killProducer: async () => this.alive('producer')[0]?.kill(),
      stop: () => this.stop(),
      twin: () => this.twin(),
      cut: () => this.cut(),
      cutAgain: () => this.cut(),
      stall: async () => {
        pipeline.pauseRedis()
        await this.pause(2500)
        pipeline.resumeRedis()
      },
      crash: () => pipeline.crashRedis(() => this.pause(500)),
      replay: () => this.replay(),
      replayAgain: () => this.replay(),
    }
    const names = Object.keys(faults)
    const name = names[Math.floor(this.random() * names.length)] as string
    this.counts[name] = (this.counts[name] ?? 0) + 1
    await faults[name]?.()
    await this.pause(1000)
  }

  /** Ends all faults, and waits until everybody is at work. */
  async calm(): Promise<void> {
    for (const service of this.pipeline.services) service.send('SIGCONT')
    const busy = (): string[] => [...IDS, 'producer'].filter(name => this.alive(name).length !== 1)
    await this.pipeline.when(() => {
      this.ensureAll()
      return busy().length === 0
    }, 'one process for each id')
    const { done } = await this.pipeline.inspect()
    await this.pipeline.committed(done + 1000)
  }

  /** How often the services logged what. */
  events(): Record<string, number> {
    const count = (text: string) =>
      this.pipeline.services.reduce((sum, one) => sum + one.lines(text).length, 0)
    return {
      processes: this.pipeline.services.length,
      'sessions opened': count('session opened'),
      'sessions lost': count('session lost'),
      'took over': count('took over'),
      'outcomes refused': count('outcomes refused'),
      'twins refused': count('consumer id'),
      trims: count('trimmed'),
    }
  }

  private alive(name: string): ServiceProcess[] {
    return this.pipeline.services.filter(one => one.name === name && one.alive)
  }

  private consumer(): ServiceProcess | undefined {
    return this.alive(IDS[Math.floor(this.random() * IDS.length)] as string)[0]
  }

  /** Stops a consumer for a while, longer or shorter than death takes. */
  private async stop(): Promise<void> {
    const consumer = this.consumer()
    consumer?.send('SIGSTOP')
    await this.pause(3000)
    consumer?.send('SIGCONT')
  }

  /** Has a second process take the id of a stopped one over, and lets the first go on. */
  private async twin(): Promise<void> {
    const consumer = this.consumer()
    if (!consumer) return
    consumer.send('SIGSTOP')
    const second = this.pipeline.consumer(consumer.name)
    await Promise.race([second.exited, this.pause(4000)])
    consumer.send('SIGCONT')
  }

  /** Has Redis close some connection. */
  private async cut(): Promise<void> {
    const list = `${await this.pipeline.client.client('LIST')}`
    const ids = [...list.matchAll(/^id=(\d+) .* name=conveyor-/gm)].map(([, id]) => id as string)
    const id = ids[Math.floor(this.random() * ids.length)]
    if (id !== undefined) await this.pipeline.client.client('KILL', 'ID', id)
  }

  /** Replays all dead letters, twice at once, while connections are being cut. */
  private async replay(): Promise<void> {
    const { client, keys } = this.pipeline
    for (const { id } of await this.pipeline.deadLetters()) {
      const entries = await Promise.all([1, 2].map(() => replayDeadLetter(client, keys, id)))
      expect(entries.filter(entry => entry !== undefined)).toHaveLength(1)
    }
  }

  private pause(most: number): Promise<void> {
    return sleep(this.random() * most)
  }
}
