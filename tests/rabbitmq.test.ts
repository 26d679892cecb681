import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Pipeline, type RedisProxy, root, ServiceProcess, startProxy, until } from '@conveyor/chaos'
import { type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib'
import { expect, onTestFinished, test } from 'vitest'
import { RabbitServer } from './rabbitmq.ts'
import { startPipeline, startWire } from './start-pipeline.ts'

const COUNT = 100_000
/** Messages that the publisher may be ahead, so that it is at work under every fault. */
const AHEAD = 15_000
const PATIENCE = 60_000

/** Puts messages into a queue, each until it is confirmed: again on a new connection if it was not. */
class Publisher {
  repeated = 0
  /** Messages that have come out on the other side. */
  arrived = 0
  private readonly sent = new Set<number>()
  private readonly confirmed = new Set<number>()

  constructor(
    private readonly url: string,
    private readonly queue: string,
  ) {}

  async run(stop: AbortSignal): Promise<void> {
    while (this.confirmed.size < COUNT && !stop.aborted) {
      await this.attempt(stop).catch(() => sleep(20))
    }
  }

  private async attempt(stop: AbortSignal): Promise<void> {
    const connection = await connect(this.url, { timeout: 2000 })
    connection.on('error', () => {})
    try {
      const channel = await connection.createConfirmChannel()
      channel.on('error', () => {})
      for (let n = 0; n < COUNT && !stop.aborted; n++)
        if (!this.confirmed.has(n)) await this.publish(n, channel)
      await channel.waitForConfirms()
    } finally {
      await connection.close().catch(() => {})
    }
  }

  private async publish(n: number, channel: ConfirmChannel): Promise<void> {
    while (n > this.arrived + AHEAD) await sleep(5)
    if (this.sent.has(n)) this.repeated++
    this.sent.add(n)
    const options = { persistent: true, messageId: `m-${n}` }
    const room = channel.sendToQueue(this.queue, Buffer.from(JSON.stringify({ n })), options, error => {
      if (!error) this.confirmed.add(n)
    })
    if (room) return
    await new Promise<void>(resolve => {
      channel.once('drain', resolve)
      channel.once('close', resolve)
    })
  }
}

/** A process that is started again when it is killed. */
class Supervised {
  private process: ServiceProcess
  constructor(private readonly start: () => ServiceProcess) {
    this.process = start()
  }

  async crash(): Promise<void> {
    await this.process.kill()
    this.process = this.start()
  }
}

function startBridge(pipeline: Pipeline, redis: RedisProxy, wire: RedisProxy): Supervised {
  return supervise(pipeline, 'bridge', join(root, 'rabbitmq', 'dist', 'main.js'), {
    REDIS_URL: redis.url,
    AMQP_URL: amqp(wire),
    AMQP_QUEUE: 'in',
    COMMAND_TIMEOUT_MS: '2000',
  })
}

function startSink(pipeline: Pipeline, redis: RedisProxy, wire: RedisProxy): Supervised {
  return supervise(pipeline, 'sink', join(root, 'tests', 'rabbitmq-sink.mjs'), {
    REDIS_URL: redis.url,
    AMQP_URL: amqp(wire),
    AMQP_QUEUE: 'out',
    CONSUMER_ID: 'c1',
    STREAM: pipeline.keys.stream,
    GROUP: pipeline.keys.group,
  })
}

function supervise(pipeline: Pipeline, name: string, script: string, env: NodeJS.ProcessEnv): Supervised {
  return new Supervised(() => {
    const started = new ServiceProcess(name, script, [], {
      env: { ...process.env, ...env },
      cwd: pipeline.dir,
    })
    pipeline.services.push(started)
    return started
  })
}

const amqp = ({ port }: RedisProxy) => `amqp://guest:guest@127.0.0.1:${port}`

/** Each message's body and messageId, until the queue is empty. */
async function drain(broker: RabbitServer, queue: string): Promise<{ id: string; body: string }[]> {
  const found: { id: string; body: string }[] = []
  const expected = await broker.count(queue)
  await broker.use(async channel => {
    const onMessage = (message: ConsumeMessage | null) => {
      if (message) found.push({ id: message.properties.messageId, body: message.content.toString() })
    }
    await channel.consume(queue, onMessage, { noAck: true })
    await until(() => found.length >= expected, `${expected} messages of ${queue}`, PATIENCE)
  })
  return found
}

test('from a queue to the stream and on to another queue, whatever fails, each message comes out once', async () => {
  const broker = await RabbitServer.start()
  onTestFinished(() => broker.stop())
  const pipeline = await startPipeline()
  const redis = await startWire(pipeline)
  const wire = await startProxy({ target: { host: '127.0.0.1', port: broker.port }, raw: true })
  onTestFinished(() => wire.close())

  const bridge = startBridge(pipeline, redis, wire)
  const sink = startSink(pipeline, redis, wire)
  await until(
    () =>
      broker.count('in').then(
        () => true,
        () => undefined,
      ),
    'the queue is there',
    PATIENCE,
  )
  const publisher = new Publisher(amqp(wire), 'in')
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const publishing = publisher.run(stop.signal)

  const passes = async (count: number) => {
    const look = async () => {
      const state = await pipeline.look()
      publisher.arrived = state?.done ?? publisher.arrived
      return state && state.done >= count
    }
    await until(look, `${count} packages are through`, PATIENCE, () => pipeline.explain())
  }
  const crashBroker = async () => {
    await broker.kill()
    await broker.run()
  }
  const faults = [
    () => wire.cutAll(),
    () => bridge.crash(),
    () => sink.crash(),
    () => pipeline.crashRedis(),
    () => crashBroker(),
    () => redis.cutAll(),
    () => Promise.all([bridge.crash(), sink.crash()]),
    () => wire.cutAll(),
    () => Promise.all([bridge.crash(), pipeline.crashRedis()]),
    () => crashBroker(),
    () => Promise.all([wire.cutAll(), redis.cutAll()]),
    () => bridge.crash(),
  ]
  const step = Math.floor(COUNT / (faults.length + 1))
  for (const [index, fault] of faults.entries()) {
    await passes((index + 1) * step)
    await fault()
  }
  await passes(COUNT)
  await publishing
  await until(async () => (await broker.count('in')) === 0 || undefined, 'the queue is empty', PATIENCE)
  await pipeline.drained(COUNT)
  await pipeline.stop()

  const entries = await pipeline.client.xrange(pipeline.keys.stream, '-', '+')
  const appended = entries.map(
    ([, fields]) => JSON.parse(fields[fields.indexOf('data') + 1] as string).payload.body.n,
  )
  expect(new Set(appended).size, 'messages that were appended').toBe(COUNT)
  expect(appended.length, 'entries of the stream').toBe(COUNT)
  const out = await drain(broker, 'out')
  const byId = new Map(out.map(({ id, body }) => [id, body]))
  for (const { id, body } of out) expect(byId.get(id)).toBe(body)
  expect(byId.size, 'messages that went out').toBe(COUNT)
  expect(new Set(byId.values()).size, 'messages that went out').toBe(COUNT)
  expect([await broker.count('in.dead'), await broker.count('out.dead')]).toEqual([0, 0])
  expect(publisher.repeated).toBeGreaterThan(0)
})
