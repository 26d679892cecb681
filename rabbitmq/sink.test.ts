import type { Finished, Message, Origin } from '@conveyor/stream'
import { AlwaysOnSampler } from '@opentelemetry/sdk-trace'
import type { GetMessage } from 'amqplib'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { useRabbit } from '../tests/rabbitmq.ts'
import { newName, until } from '../tests/redis.ts'
import { useTelemetry } from '../tests/telemetry.ts'
import { BrokerLost, BrokerRefused } from './broker.ts'
import { amqpSettings } from './config.ts'
import { type AmqpConfig, openRabbitmqSink } from './open-sink.ts'
import { BrokerBlocked, Unroutable } from './publisher.ts'
import { RabbitmqSink, type RabbitmqSinkOptions } from './sink.ts'

const on = useRabbit()
const telemetry = useTelemetry(new AlwaysOnSampler())
const origin: Origin = { stream: 'numbers', group: 'workers', epoch: 'e1', consumer: 'c1' }
const { signal } = new AbortController()

let queue: string
let failures: Error[]
let sink: RabbitmqSink

function newSink(options: Partial<RabbitmqSinkOptions> = {}, bound = true): RabbitmqSink {
  const created = new RabbitmqSink(
    {
      url: on.server.url,
      name: 'test',
      deadline: 5000,
      exchange: { name: `${queue}-exchange`, type: 'direct' },
      routingKey: 'packages',
      ...(bound && { queue: { name: queue, type: 'quorum', deliveryLimit: 10 } }),
      ...options,
    },
    error => failures.push(error),
  )
  onTestFinished(() => created.close())
  return created
}

beforeEach(() => {
  queue = newName()
  failures = []
  sink = newSink()
})

function finished(n: number, payload: object = {}, result?: unknown, more: Partial<Message> = {}): Finished {
  const id = `1783728000000-${n}`
  const message = { entry: id, id, package: n, timestamp: 1753553379, payload: { package: n, ...payload } }
  return { message: { ...message, deliveries: 1, attempt: 1, replays: 0, failures: [], ...more }, result }
}

/** All messages that the queue holds; takes them out. */
function messages(name = queue): Promise<GetMessage[]> {
  return on.server.use(async channel => {
    const found: GetMessage[] = []
    for (;;) {
      const message = await channel.get(name, { noAck: true })
      if (!message) return found
      found.push(message)
    }
  })
}

const bodies = async () => (await messages()).map(({ content }) => JSON.parse(content.toString()))

test('a package is a persistent message under an id of its own', async () => {
  const traced = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=b' }
  expect(await sink.store([finished(1, {}, undefined, traced)], origin, signal)).toEqual(new Map())
  expect(await messages()).toMatchObject([
    {
      content: Buffer.from('{"package":1}'),
      properties: {
        messageId: 'numbers:workers:e1:1783728000000-1',
        contentType: 'application/json',
        deliveryMode: 2,
        timestamp: 1753553379,
        headers: { 'conveyor-package': 1, ...traced },
      },
    },
  ])
})

test('its body is what the handler returned, or what came from outside, or its payload', async () => {
  const all = [
    finished(1),
    finished(2, { body: ['ü'] }),
    finished(3, { body: 1 }, { ok: true }),
    finished(4, {}, null),
  ]
  await sink.store(all, origin, signal)
  expect(await bodies()).toEqual([{ package: 1 }, ['ü'], { ok: true }, null])
})

test('what is stored again has the same id', async () => {
  await sink.store([finished(1), finished(2)], origin, signal)
  const again = finished(2, {}, undefined, { entry: '1783728000001-0', attempt: 2 })
  await newSink().store([again], { ...origin, consumer: 'c2' }, signal)
  const ids = (await messages()).map(({ properties }) => properties.messageId.split('-')[1])
  expect(ids).toEqual(['1', '2', '2'])
})

test('what no message can hold is refused, and the others are stored', async () => {
  sink = newSink({ maxBytes: 50 })
  const all = [finished(1, {}, 10n), finished(2), finished(3, {}, () => {}), finished(4, {}, 'x'.repeat(49))]
  expect([...(await sink.store(all, origin, signal))]).toEqual([
    ['1783728000000-1', expect.stringContaining('BigInt')],
    ['1783728000000-3', 'what the handler returned is no JSON: a function'],
    ['1783728000000-4', '51 bytes: at most 50 can be sent'],
  ])
  expect(await bodies()).toEqual([{ package: 2 }])
})

test('what an entry of others says of itself keeps no batch from being stored', async () => {
  const wild = { timestamp: 1e300, traceparent: 'x'.repeat(70_000), tracestate: 'y'.repeat(70_000) }
  const all = [
    finished(1, {}, 1, wild),
    finished(2, {}, 2, { timestamp: -1.5 }),
    finished(3, {}, 3, { id: 'z'.repeat(300) }),
  ]
  expect([...(await sink.store(all, origin, signal))]).toEqual([
    ['1783728000000-3', 'an id of at most 255 bytes can be sent'],
  ])
  const sent = await messages()
  for (const { properties } of sent) {
    expect(properties.timestamp).toBeUndefined()
    expect(properties.headers).not.toHaveProperty('traceparent')
    expect(properties.headers).not.toHaveProperty('tracestate')
  }
  expect(sent).toHaveLength(2)
})

test('a full batch of large packages goes through', async () => {
  const all = Array.from({ length: 1000 }, (_, n) => finished(n + 1, {}, 'x'.repeat(8192)))
  await sink.store(all, origin, signal)
  expect(await on.server.count(queue)).toBe(1000)
})

test('what leads to no queue is not stored, until it does', async () => {
  sink = newSink({}, false)
  const before = await telemetry.metrics()
  await expect(sink.store([finished(1)], origin, signal)).rejects.toThrow(Unroutable)
  await newSink().open()
  await sink.store([finished(1)], origin, signal)
  expect(failures).toHaveLength(1)
  expect(await bodies()).toEqual([{ package: 1 }])
  const sum = (points: { value: unknown }[] = []) => points.reduce((all, { value }) => all + Number(value), 0)
  const after = await telemetry.metrics()
  const grown = (name: string) => sum(after.get(name)) - sum(before.get(name))
  expect([grown('conveyor.rabbitmq.published'), grown('conveyor.rabbitmq.unconfirmed')]).toEqual([1, 1])
})

test('a queue that takes no more refuses a batch, which can be stored later', async () => {
  await sink.open()
  on.server.control('set_policy', queue, `^${queue}$`, '{"max-length":1}', '--apply-to', 'queues')
  onTestFinished(() => void on.server.control('clear_policy', queue))
  const store = () =>
    sink.store([finished(1)], origin, signal).then(
      () => true,
      () => false,
    )
  await until(async () => !(await store()), 'the queue is full')
  await messages()
  await until(store, 'there is room')
})

test('a connection that was closed is replaced by another', async () => {
  await sink.store([finished(1)], origin, signal)
  on.server.control('close_all_connections', 'a test')
  await until(
    () =>
      sink.store([finished(2)], origin, signal).then(
        () => true,
        () => false,
      ),
    'it is stored',
  )
  expect(await bodies()).toEqual([{ package: 1 }, { package: 2 }])
})

test('while the broker is short of memory nothing is stored, and the connection stays', async () => {
  sink = newSink({ deadline: 500 })
  await sink.store([finished(1)], origin, signal)
  on.server.control('set_vm_memory_high_watermark', '0.0001')
  onTestFinished(() => void on.server.control('set_vm_memory_high_watermark', '0.4'))
  await expect(sink.store([finished(2)], origin, signal)).rejects.toThrow(BrokerBlocked)
  await expect(sink.store([finished(2)], origin, signal)).rejects.toThrow(BrokerBlocked)
  on.server.control('set_vm_memory_high_watermark', '0.4')
  await until(
    () =>
      sink.store([finished(3)], origin, signal).then(
        () => true,
        () => false,
      ),
    'it is stored',
  )
  expect((await bodies()).map(body => body.package)).toEqual([1, 2, 3])
})

test('a broker that does not answer is given up after the deadline, and at once when the session is over', async () => {
  sink = newSink({ deadline: 300 })
  await sink.open()
  on.server.pause()
  onTestFinished(() => on.server.resume())
  const over = new AbortController()
  const stopped = sink.store([finished(1)], origin, over.signal)
  over.abort(new Error('over'))
  await expect(stopped).rejects.toThrow('over')
  await expect(sink.store([finished(1)], origin, signal)).rejects.toThrow('not confirmed within 300 ms')
  await expect(sink.store([finished(1)], origin, signal)).rejects.toThrow(BrokerLost)
})

test.each([
  ['AMQP_URL', () => ({ url: on.server.url.replace('guest:guest', 'guest:wrong') }), 'ACCESS_REFUSED'],
  ['AMQP_URL', () => ({ url: `${on.server.url}/nowhere` }), 'refuses the virtual host'],
  [
    'AMQP_QUEUE',
    () => ({ queue: { name: queue, type: 'classic', deliveryLimit: 10 } as const }),
    'PRECONDITION_FAILED',
  ],
  [
    'AMQP_EXCHANGE',
    () => ({ exchange: { name: `${queue}-exchange`, type: 'topic' } as const }),
    'PRECONDITION_FAILED',
  ],
])('it says what of %s the broker refuses', async (setting, options, message) => {
  await sink.open()
  const refused = newSink(options())
  const error = await refused.open().catch(caught => caught)
  expect(error).toBeInstanceOf(BrokerRefused)
  expect(error).toMatchObject({ setting, message: expect.stringContaining(message) })
})

function opening(env: Partial<AmqpConfig>, stop = new AbortController().signal) {
  const said: string[] = []
  const config = z.object(amqpSettings).parse({ AMQP_EXCHANGE: `${queue}-exchange`, AMQP_QUEUE: queue })
  const opened = openRabbitmqSink({
    config: { ...config, AMQP_URL: on.server.url, ...env },
    consumer: 'c1',
    deadline: 1000,
    stop,
    note: (_, text) => said.push(text),
  })
  return { opened, said }
}

test('opened by settings, it is ready', async () => {
  const { sink: opened, close } = await opening({}).opened
  await opened.store([finished(1)], origin, signal)
  expect(await bodies()).toEqual([{ package: 1 }])
  await close()
  await expect(opened.store([finished(2)], origin, signal)).rejects.toThrow(BrokerLost)
})

test('a broker that is away is waited for, and said once; settings that it refuses are an error', async () => {
  const stop = new AbortController()
  const { opened, said } = opening({ AMQP_URL: 'amqp://127.0.0.1:1' }, stop.signal)
  await until(() => said.length > 0, 'it is said')
  stop.abort()
  await opened
  expect(said).toEqual(['RabbitMQ cannot be reached: waiting for it'])
  await sink.open()
  await expect(opening({ AMQP_EXCHANGE_TYPE: 'topic' }).opened).rejects.toThrow(
    /^AMQP_EXCHANGE: PRECONDITION_FAILED/,
  )
})
