import { isDeepStrictEqual } from 'node:util'
import { ConfigError, type Logger } from '@conveyor/service'
import { AlwaysOnSampler } from '@opentelemetry/sdk-trace'
import type { GetMessage, Options } from 'amqplib'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { useRabbit } from '../tests/rabbitmq.ts'
import { newName, ownRedis, until, useRedis } from '../tests/redis.ts'
import { useTelemetry } from '../tests/telemetry.ts'
import { Bridge } from './bridge.ts'
import { bridgeConfig } from './config.ts'

const broker = useRabbit()
const on = useRedis()
const telemetry = useTelemetry(new AlwaysOnSampler())

/** What the bridge logged: level and text. */
let log: [level: string, text: string, fields: object][]
let stream: string
let queue: string

beforeEach(() => {
  log = []
  stream = newName()
  queue = newName()
})

function bridge(env: NodeJS.ProcessEnv = {}) {
  const note = (level: string) => (fields: object, text: string) => log.push([level, text, fields])
  const config = bridgeConfig({
    REDIS_URL: on.server.url,
    STREAM: stream,
    AMQP_URL: broker.server.url,
    AMQP_QUEUE: queue,
    COMMAND_TIMEOUT_MS: '1000',
    ...env,
  })
  const created = new Bridge(config, { info: note('info'), warn: note('warn') } as unknown as Logger)
  const stopping = new AbortController()
  const run = created.run(stopping.signal)
  const ended = run.then(
    () => undefined,
    error => error as Error,
  )
  const stop = () => {
    stopping.abort()
    return ended
  }
  onTestFinished(async () => void (await stop()))
  return { bridge: created, status: created.status, ended, stop }
}

type Item = readonly [content: string | Buffer, options?: Options.Publish]

/** Puts messages into the queue, which is there. */
function put(...items: Item[]): Promise<void> {
  return broker.server.use(async (_, connection) => {
    const channel = await connection.createConfirmChannel()
    for (const [content, options] of items)
      channel.sendToQueue(queue, Buffer.from(content), { persistent: true, ...options })
    await channel.waitForConfirms()
  })
}

/** What the stream holds: payload and further fields of each entry. */
async function entries(redis = on.redis) {
  const found = await redis.xrange(stream, '-', '+')
  return found.map(([, fields]) => {
    const at = (name: string) => fields[fields.indexOf(name) + 1] as string
    const traceparent = fields.includes('traceparent') ? at('traceparent') : undefined
    return { ...JSON.parse(at('data')).payload, ...(traceparent && { traceparent }) }
  })
}

const dead = () =>
  broker.server.use(async channel => {
    const found: GetMessage[] = []
    for (;;) {
      const message = await channel.get(`${queue}.dead`, { noAck: true })
      if (!message) return found
      found.push(message)
    }
  })

const settled = (one: { status: Bridge['status'] }, count: number) =>
  until(() => one.status.taken >= count && one.status.held === 0, `${count} messages are settled`)

test('messages are appended as they are, and acknowledged', async () => {
  const one = bridge()
  await until(() => one.bridge.ready, 'the queue is open')
  await put(['{"a": 1.50}', { messageId: 'a' }], ['"ü"', { messageId: 'b' }], ['null'])
  await settled(one, 3)
  expect((await entries()).map(({ package: number, body }) => [number, body])).toEqual([
    [1, { a: 1.5 }],
    [2, 'ü'],
    [3, null],
  ])
  expect(await one.stop()).toBeUndefined()
  expect(await broker.server.count(queue)).toBe(0)
  expect(one.status).toMatchObject({ appended: 3, repeated: 0, rejected: 0, redelivered: 0, held: 0 })
})

test('what comes again under its id is appended once, by whichever bridge', async () => {
  const one = bridge()
  await until(() => one.bridge.ready, 'the queue is open')
  await put(['1', { messageId: 'a' }], ['1', { messageId: 'a' }], ['1'], ['1'])
  await settled(one, 4)
  await one.stop()
  const two = bridge()
  await put(['1', { messageId: 'a' }], ['2', { messageId: 'b' }])
  await settled(two, 2)
  expect((await entries()).map(({ body }) => body)).toEqual([1, 1, 1, 2])
  expect([one.status.repeated, two.status.repeated]).toEqual([1, 1])
})

test('a message that can never be appended goes to the dead letters of its queue', async () => {
  const one = bridge({ MAX_BODY_BYTES: '1024' })
  await until(() => one.bridge.ready, 'the queue is open')
  const large = JSON.stringify('x'.repeat(1024))
  await put(['1', { messageId: 'a' }])
  await settled(one, 1)
  await put(['{'], [Buffer.from([0xff])], [''], [large], ['2', { messageId: 'a' }], ['3'])
  await settled(one, 7)
  expect((await entries()).map(({ body }) => body)).toEqual([1, 3])
  const letters: GetMessage[] = []
  await until(async () => letters.push(...(await dead())) && letters.length === 5, 'five dead letters')
  expect(letters.map(({ content }) => content.toString('latin1')).sort()).toEqual(
    ['', '2', '{', '\u00ff', large].sort(),
  )
  expect(log.filter(([, text]) => text === 'message rejected').map(([, , fields]) => fields)).toMatchObject([
    { reason: 'not JSON' },
    { reason: 'not JSON' },
    { reason: 'not JSON' },
    { reason: 'too large', detail: '1026 bytes: at most 1024 are allowed (MAX_BODY_BYTES)' },
    { reason: 'id reused', messageId: 'a' },
  ])
})

test('nothing is taken while consumers are too far behind', async () => {
  const one = bridge({ MAX_BACKLOG: '10', AMQP_PREFETCH: '5' })
  await until(() => one.bridge.ready, 'the queue is open')
  await put(...Array.from({ length: 100 }, (_, n): Item => [String(n), { messageId: String(n) }]))
  await until(async () => one.status.full && (await broker.server.count(queue)) >= 85, 'it takes no more')
  await settled(one, 10)
  const before = await on.redis.xlen(stream)
  expect(before).toBeLessThanOrEqual(15)
  await on.redis.xreadgroup('GROUP', 'consumer_group', 'c1', 'COUNT', 10, 'STREAMS', stream, '>')
  await until(async () => (await on.redis.xlen(stream)) >= before + 5, 'it goes on')
  await one.stop()
  expect((await on.redis.xlen(stream)) + (await broker.server.count(queue))).toBe(100)
})

test('while Redis is away nothing is acknowledged, and nothing is taken', async () => {
  const { server, redis } = await ownRedis()
  const one = bridge({ REDIS_URL: server.url, AMQP_PREFETCH: '5' })
  await until(() => one.bridge.ready, 'the queue is open')
  await server.kill()
  await put(...Array.from({ length: 20 }, (_, n): Item => [String(n), { messageId: String(n) }]))
  await until(() => !one.status.redis, 'it is known that Redis is away')
  expect(one.status.appended).toBe(0)
  expect(await broker.server.count(queue)).toBeGreaterThanOrEqual(15)
  await server.run()
  await until(async () => (await redis.xlen(stream)) === 20, 'all are appended')
  await one.stop()
  expect(await broker.server.count(queue)).toBe(0)
})

test('stopped while Redis is away, it ends, and what it had taken is delivered to others', async () => {
  const { server, redis } = await ownRedis()
  const one = bridge({ REDIS_URL: server.url })
  await until(() => one.bridge.ready, 'the queue is open')
  server.pause()
  await put(['1', { messageId: 'a' }], ['2', { messageId: 'b' }])
  await until(() => one.status.held > 0, 'messages are in hand')
  await server.kill()
  expect(await one.stop()).toBeUndefined()
  await server.run()
  const two = bridge({ REDIS_URL: server.url })
  await until(async () => (await redis.xlen(stream)) === 2, 'both are appended')
  await settled(two, 2)
  expect(one.status.appended).toBe(0)
  expect(two.status.redelivered).toBeGreaterThan(0)
})

test("a publisher's trace is continued, and what is none is nothing", async () => {
  const one = bridge()
  await until(() => one.bridge.ready, 'the queue is open')
  const trace = '0af7651916cd43dd8448eb211c80319c'
  await put(['1', { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } }])
  await put(['2', { headers: { traceparent: 5, tracestate: {} } }], ['3', { headers: { traceparent: 'x' } }])
  await settled(one, 3)
  const traces = (await entries()).map(({ traceparent }) => traceparent?.split('-')[1])
  expect(traces.map(found => found === trace)).toEqual([true, false, false])
})

test('what is taken, rejected and delivered again is measured', async () => {
  const one = bridge()
  await until(() => one.bridge.ready, 'the queue is open')
  const before = await telemetry.metrics()
  await put(['1'], ['{'])
  await settled(one, 2)
  const after = await telemetry.metrics()
  const grown = (name: string, attributes = {}) => {
    const at = (points: typeof before) =>
      points
        .get(name)
        ?.find(point =>
          isDeepStrictEqual(point.attributes, { 'messaging.destination.name': queue, ...attributes }),
        )?.value ?? 0
    return Number(at(after)) - Number(at(before))
  }
  expect(grown('conveyor.rabbitmq.taken')).toBe(2)
  expect(grown('conveyor.rabbitmq.rejected', { reason: 'not JSON' })).toBe(1)
})

test('what the broker delivers again and has no id is counted', async () => {
  const one = bridge()
  await until(() => one.bridge.ready, 'the queue is open')
  await one.stop()
  await put(['1'], ['2', { messageId: 'b' }])
  await broker.server.use(async (channel, connection) => {
    await channel.get(queue)
    await channel.get(queue)
    await connection.close()
  })
  const two = bridge()
  await settled(two, 2)
  expect(two.status).toMatchObject({ redelivered: 2, redeliveredUnnamed: 1 })
})

test('a queue that is deleted is created again', async () => {
  const one = bridge()
  await until(() => one.bridge.ready, 'the queue is open')
  await broker.server.use(channel => channel.deleteQueue(queue))
  await until(() => one.status.restarts === 1 && one.bridge.ready, 'the queue is open again')
  await put(['1'])
  await settled(one, 1)
})

test('a broker that is away is said once, and waited for', async () => {
  const one = bridge({ AMQP_URL: 'amqp://127.0.0.1:1' })
  await until(() => one.status.restarts >= 3, 'it tries again')
  expect(log.filter(([level]) => level === 'warn')).toHaveLength(1)
  expect(await one.stop()).toBeUndefined()
})

test.each([
  ['AMQP_URL: ACCESS_REFUSED', () => ({ AMQP_URL: broker.server.url.replace('guest:guest', 'guest:wrong') })],
  ['AMQP_URL: the broker refuses the virtual host', () => ({ AMQP_URL: `${broker.server.url}/nowhere` })],
  ['AMQP_QUEUE: PRECONDITION_FAILED', () => ({ AMQP_QUEUE_TYPE: 'classic' })],
  ['AMQP_QUEUE: PRECONDITION_FAILED', () => ({ AMQP_DELIVERY_LIMIT: '5' })],
  ['AMQP_QUEUE: NOT_FOUND', () => ({ AMQP_QUEUE: 'nobodys', AMQP_DECLARE: 'no' })],
  ['AMQP_QUEUE: ACCESS_REFUSED', () => ({ AMQP_QUEUE: 'amq.mine' })],
])('what cannot be mended by waiting is one line that names the setting: %s', async (line, env) => {
  const one = bridge()
  await until(() => one.bridge.ready, 'the queue is open')
  const error = await bridge(env()).ended
  expect(error).toBeInstanceOf(ConfigError)
  expect(error?.message).toMatch(new RegExp(`^${line}.*$`))
})
