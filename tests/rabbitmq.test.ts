import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Pipeline, type RedisProxy, type ServiceProcess, startProxy, until } from '@conveyor/chaos'
import { type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib'
import { expect, onTestFinished, test } from 'vitest'
import { type RabbitServer, useRabbit } from './rabbitmq.ts'
import { startPipeline, startWire } from './start-pipeline.ts'

const on = useRabbit()

const COUNT = 100_000
/** Messages that the publisher may be ahead, so that it is at work under every fault. */
const AHEAD = 15_000
const PATIENCE = 60_000

const amqp = ({ port }: RedisProxy) => `amqp://guest:guest@127.0.0.1:${port}?heartbeat=2`

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
    const over = new AbortController()
    connection.on('error', () => {})
    connection.on('close', () => over.abort())
    try {
      const channel = await connection.createConfirmChannel()
      channel.on('error', () => {})
      for (let n = 0; n < COUNT && !stop.aborted; n++)
        if (!this.confirmed.has(n)) await this.publish(n, channel, over.signal)
      await channel.waitForConfirms()
    } finally {
      await connection.close().catch(() => {})
    }
  }

  private async publish(n: number, channel: ConfirmChannel, over: AbortSignal): Promise<void> {
    while (n > this.arrived + AHEAD) await sleep(5, undefined, { signal: over })
    if (this.sent.has(n)) this.repeated++
    this.sent.add(n)
    const options = { persistent: true, messageId: `m-${n}` }
    const room = channel.sendToQueue(this.queue, Buffer.from(JSON.stringify({ n })), options, error => {
      if (!error) this.confirmed.add(n)
    })
    if (!room) await once(channel, 'drain', { signal: over })
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
  const env = { REDIS_URL: redis.url, AMQP_URL: amqp(wire), AMQP_QUEUE: 'in', COMMAND_TIMEOUT_MS: '2000' }
  return new Supervised(() => pipeline.bridge('bridge', env))
}

function startSink(pipeline: Pipeline, redis: RedisProxy, wire: RedisProxy): Supervised {
  const env = { REDIS_URL: redis.url, OUTPUT: 'rabbitmq', AMQP_URL: amqp(wire), AMQP_QUEUE: 'out' }
  return new Supervised(() => pipeline.consumer('c1', { ...env, COMMAND_TIMEOUT_MS: '2000' }))
}

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
  const broker = on.server
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
    () => wire.blackhole(),
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
  await until(async () => (await broker.count('in')) === 0, 'the queue is empty', PATIENCE)
  await pipeline.drained(COUNT)
  await pipeline.stop()
  expect(await broker.count('in'), 'messages that were not acknowledged').toBe(0)

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

test.each([
  ['AMQP_URL: ACCESS_REFUSED', 'guest:wrong', ''],
  ['AMQP_URL: the broker refuses the virtual host', 'guest:guest', '/nowhere'],
  ['AMQP_QUEUE: PRECONDITION_FAILED', 'guest:guest', ''],
])('what the broker refuses is one line and exit code 2: %s', async (line, user, vhost) => {
  const pipeline = await startPipeline()
  await on.server.use(channel => channel.assertQueue('taken', { durable: true }))
  const AMQP_URL = `amqp://${user}@127.0.0.1:${on.server.port}${vhost}`
  const bridge = pipeline.bridge('bridge', { AMQP_URL, AMQP_QUEUE: 'taken' })
  expect(await bridge.ended()).toEqual({ code: 2, signal: null })
  const said = bridge.log.filter(({ level }) => level >= 40).map(({ msg }) => msg)
  expect(said).toEqual([expect.stringContaining(line)])
})
