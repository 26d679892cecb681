import { setTimeout as sleep } from 'node:timers/promises'
import { type Pipeline, type ServiceProcess, until } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { crash, expectExactlyOnce, POINTS, startCrashPipeline } from './crash-points.ts'
import { startPipeline, startWire } from './start-pipeline.ts'

interface Receipt {
  readonly id: string
  readonly package: number
}

/** A producer that takes messages and is started again whenever it ends, on a port of its own each time. */
class Entrance {
  url: string | undefined
  private process: ServiceProcess | undefined
  constructor(
    private readonly pipeline: Pipeline,
    private readonly env: NodeJS.ProcessEnv = {},
  ) {}

  start(more: NodeJS.ProcessEnv = {}): ServiceProcess {
    const process = this.pipeline.producer(0, { RATE: '0', ...this.env, ...more })
    this.process = process
    process.logged('producer started').then(
      ({ url }) => {
        if (this.process === process) this.url = String(url)
      },
      () => {},
    )
    return process
  }

  async crash(): Promise<void> {
    this.url = undefined
    await this.process?.kill()
    this.start()
  }
}

/** Sends messages one after the other, each under a key, until it is told that it was appended. */
class Client {
  readonly receipts: Receipt[] = []
  repeated = 0
  constructor(
    private readonly name: number,
    private readonly entrances: readonly Entrance[],
  ) {}

  async send(stop: AbortSignal): Promise<void> {
    for (let n = 0; !stop.aborted; n++) this.receipts.push(await this.one(n))
  }

  private async one(n: number): Promise<Receipt> {
    for (let attempt = 0; ; attempt++) {
      const entrance = this.entrances[(this.name + attempt) % this.entrances.length] as Entrance
      try {
        if (!entrance.url) throw new Error('it is being started')
        const response = await fetch(`${entrance.url}/messages`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': `${this.name}-${n}` },
          body: JSON.stringify({ client: this.name, n }),
          signal: AbortSignal.timeout(3000),
        })
        if (response.status === 202) return (await response.json()) as Receipt
        if (response.status < 429) throw Object.assign(new Error(await response.text()), { fatal: true })
      } catch (error) {
        if ((error as { fatal?: true }).fatal) throw error
      }
      this.repeated++
      await sleep(20)
    }
  }
}

/** Clients that send until they are stopped. */
class Clients {
  private readonly all: Client[]
  private readonly stopping = new AbortController()
  private readonly sending: Promise<unknown>
  constructor(
    private readonly pipeline: Pipeline,
    entrances: readonly Entrance[],
  ) {
    this.all = Array.from({ length: 16 }, (_, name) => new Client(name, entrances))
    this.sending = Promise.all(this.all.map(client => client.send(this.stopping.signal)))
  }

  get appended(): number {
    return this.all.reduce((sum, { receipts }) => sum + receipts.length, 0)
  }

  get repeated(): number {
    return this.all.reduce((sum, { repeated }) => sum + repeated, 0)
  }

  async goOn(): Promise<void> {
    const before = this.appended
    await until(() => this.appended >= before + 200, 'clients are answered', 60_000)
  }

  /** Stops, and expects each message in the stream once, as its receipt says. */
  async expectEachOnce(): Promise<void> {
    this.stopping.abort()
    await this.sending
    const { client, keys } = this.pipeline
    const entries = await client.xrange(keys.stream, '-', '+')
    const found = new Map<string, Receipt>()
    for (const [id, fields] of entries) {
      const returned = fields.includes('conveyor') // a retry
      const { package: number, body } = JSON.parse(fields[fields.indexOf('data') + 1] as string).payload
      const name = `${body.client}-${body.n}`
      if (returned) continue
      expect(found.has(name), name).toBe(false)
      found.set(name, { id, package: number })
    }
    expect(found.size).toBe(this.appended)
    for (const [name, { receipts }] of this.all.entries())
      for (const [n, receipt] of receipts.entries())
        expect(receipt).toMatchObject(found.get(`${name}-${n}`) ?? {})
  }
}

const SETTINGS = { COMMAND_TIMEOUT_MS: '1000', TRIM_ABOVE: '10000000' }

test('clients that repeat what was not answered have each message come out once, whatever fails', async () => {
  const pipeline = await startPipeline(SETTINGS)
  const wire = await startWire(pipeline)
  pipeline.consumers(['c1', 'c2'])
  const wired = new Entrance(pipeline, { REDIS_URL: wire.url })
  const plain = new Entrance(pipeline)
  for (const entrance of [wired, plain]) entrance.start()
  const clients = new Clients(pipeline, [wired, plain])
  await clients.goOn()
  for (let round = 0; round < 3; round++) {
    for (const fault of [
      () => wire.dropNextReply(request => request.includes(':lane:')),
      () => wire.cutMidReply(request => request.includes(':lane:')),
      () => wire.cutAll(),
      () => wired.crash(),
      () => plain.crash(),
      () => pipeline.crashRedis(),
    ]) {
      await fault()
      await clients.goOn()
    }
  }
  await clients.expectEachOnce()
  expect(clients.repeated).toBeGreaterThan(20)
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
})

test('a producer is killed at each step of taking messages, and started again', async () => {
  const pipeline = await startCrashPipeline()
  pipeline.consumers(['c1', 'c2'])
  const entrance = new Entrance(pipeline, SETTINGS)
  const clients = new Clients(pipeline, [entrance])
  for (const point of POINTS.ingest) {
    await crash(env => entrance.start(env), point)
    entrance.url = undefined
  }
  entrance.start()
  await clients.goOn()
  await clients.expectEachOnce()
  await expectExactlyOnce(pipeline)
})
