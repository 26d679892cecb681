import { setTimeout as sleep } from 'node:timers/promises'
import { type Pipeline, type ServiceProcess, until } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { startPipeline, startWire } from './start-pipeline.ts'

interface Receipt {
  readonly id: string
  readonly package: number
}

/** A producer that takes messages; it is started again, on its port, whenever it ends. */
class Entrance {
  process: ServiceProcess
  url: string | undefined
  constructor(
    private readonly pipeline: Pipeline,
    private readonly env: NodeJS.ProcessEnv,
  ) {
    this.process = pipeline.producer(0, env)
  }

  async started(): Promise<this> {
    this.url = String((await this.process.logged('producer started')).url)
    return this
  }

  async crash(): Promise<void> {
    this.url = undefined
    await this.process.kill()
    this.process = this.pipeline.producer(0, this.env)
    await this.started()
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

test('clients that repeat what was not answered have each message come out once, whatever fails', async () => {
  const pipeline = await startPipeline({ COMMAND_TIMEOUT_MS: '1000', RATE: '0', TRIM_ABOVE: '10000000' })
  const wire = await startWire(pipeline)
  pipeline.consumers(['c1', 'c2'])
  const entrances = await Promise.all(
    [wire.url, pipeline.redis.url].map(url =>
      new Entrance(pipeline, { REDIS_URL: url, RATE: '0' }).started(),
    ),
  )
  const [wired, plain] = entrances as [Entrance, Entrance]
  const clients = Array.from({ length: 16 }, (_, name) => new Client(name, entrances))
  const stop = new AbortController()
  const sending = Promise.all(clients.map(client => client.send(stop.signal)))
  const appended = () => clients.reduce((sum, { receipts }) => sum + receipts.length, 0)
  const goesOn = async () => {
    const before = appended()
    await until(() => appended() >= before + 200, 'clients are answered', 60_000)
  }
  await goesOn()
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
      await goesOn()
    }
  }
  stop.abort()
  await sending
  const entries = await pipeline.client.xrange(pipeline.keys.stream, '-', '+')
  const found = new Map(
    entries.map(([id, fields]) => {
      const { package: number, body } = JSON.parse(fields[1] as string).payload
      return [`${body.client}-${body.n}`, { id, package: number }]
    }),
  )
  expect(found.size).toBe(entries.length)
  expect(appended()).toBe(entries.length)
  for (const [name, { receipts }] of clients.entries())
    for (const [n, receipt] of receipts.entries())
      expect(receipt).toMatchObject(found.get(`${name}-${n}`) ?? {})
  expect(clients.reduce((sum, { repeated }) => sum + repeated, 0)).toBeGreaterThan(20)
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
})
