import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Subscription } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, newName, ownRedis, QUICK, until, useRedis } from '../tests/redis.ts'
import { type ConsumeOptions, consume } from './consume.ts'
import type { StreamEvent } from './events.ts'
import { flush } from './flush.ts'
import { inspect } from './inspect.ts'
import { trim } from './trim.ts'

const on = useRedis()

interface Running {
  readonly subscription: Subscription
  error: (Error & { code?: string }) | undefined
  completed: boolean
  done: number
}

/** A consumer that runs until the test's end. */
function start(b: Bench, consumer = 'a', more: Partial<ConsumeOptions> = {}): Running {
  const running: Running = { subscription: undefined as never, error: undefined, completed: false, done: 0 }
  const subscription = consume({ ...b.options(consumer), handler: () => {}, ...more }).subscribe({
    next: ({ done }) => (running.done += done),
    error: error => (running.error = error),
    complete: () => (running.completed = true),
  })
  onTestFinished(() => subscription.unsubscribe())
  return Object.assign(running, { subscription })
}
const drained = (b: Bench) =>
  until(async () => (await inspect(b.redis, b.keys)).drained, 'the stream is drained')

/** The numbers of the packages in the files of consumers, each as often as it is there. */
async function numbers(b: Bench, ...consumers: string[]): Promise<number[]> {
  const texts = await Promise.all(consumers.map(consumer => b.file(consumer)))
  const lines = texts.join('').split('\n').filter(Boolean)
  return lines
    .map(line => Number(/^Consumer \w+ processed package (\d+) \(timestamp: 1753553379\)$/.exec(line)?.[1]))
    .sort((x, y) => x - y)
}
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
const clients = async (b: Bench, consumer: string) =>
  String(await b.redis.client('LIST'))
    .split('\n')
    .filter(line => line.includes(`name=conveyor-${consumer}-`))

test('several consumers put each package into one line of one file, and say what they do', async () => {
  const b = await bench(on)
  await b.fill(3000)
  for (const id of ['a', 'b', 'c']) start(b, id, { settings: { ...QUICK, batch: 50 } })
  await drained(b)
  expect(await numbers(b, 'a', 'b', 'c')).toEqual(upTo(3000))
  const types = new Set<StreamEvent['type']>(b.seen.map(({ type }) => type))
  for (const type of ['opened', 'sessionOpened', 'delivered', 'committed', 'flushed'] as const)
    expect(types).toContain(type)
  expect(b.of('committed').reduce((sum, { done }) => sum + done, 0)).toBe(3000)
})

test('an asynchronous handler is called for many at once, and a synchronous line is written as it is', async () => {
  const b = await bench(on)
  await b.fill(200)
  start(b, 'a', {
    handler: message => new Promise(done => setTimeout(() => done(`package ${message.package}`), 1)),
  })
  await drained(b)
  expect((await b.file('a')).split('\n').filter(Boolean).sort()).toEqual(
    upTo(200)
      .map(n => `package ${n}`)
      .sort(),
  )
})

test('stopping drains what is in hand, brings it to disk, gives the id back, and completes', async () => {
  const b = await bench(on)
  await b.fill(40)
  const running = start(b, 'a', { handler: () => new Promise(done => setTimeout(done, 20)) })
  await until(() => b.of('committed').length > 0, 'the first commit')
  b.stop.abort()
  await until(() => running.completed, 'completion')
  expect(await inspect(b.redis, b.keys)).toMatchObject({ pending: 0, unflushed: 0 })
  expect(await numbers(b, 'a')).toHaveLength(running.done)
  expect(b.of('sessionClosed')).toEqual([{ type: 'sessionClosed', consumer: 'a' }])
  expect(await b.redis.exists(b.keys.sessions, b.keys.beats)).toBe(0)
  await until(async () => (await clients(b, 'a')).length === 0, 'its connections are closed')
})

test('a beat on its way while the session is closed is no reason to start again', async () => {
  for (let round = 0; round < 10; round++) {
    const b = await bench(on)
    const running = start(b, 'a', { settings: { ...QUICK, beatInterval: 0 } })
    await until(() => b.of('sessionOpened').length, 'the session')
    b.stop.abort()
    await until(() => running.completed, 'completion')
    expect(b.of('restarting').map(({ error }) => String(error))).toEqual([])
    expect(await b.redis.exists(b.keys.sessions)).toBe(0)
  }
})

test('stopping while Redis is away completes, too', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const running = start(b)
  await until(() => b.of('sessionOpened').length, 'the session')
  await server.kill()
  await until(() => b.of('restarting').length > 1, 'attempts')
  b.stop.abort()
  await until(() => running.completed, 'completion')
  expect(running.error).toBeUndefined()
})

test('who unsubscribes leaves nothing behind, not even in the middle of opening', async () => {
  const b = await bench(on)
  for (let i = 0; i < 10; i++) {
    const { subscription } = start(b, 'leaver')
    const moment = performance.now() + i
    await until(() => performance.now() > moment, 'a moment of opening')
    subscription.unsubscribe()
  }
  const quiet = performance.now() + 300
  await until(() => performance.now() > quiet, 'what was under way has ended')
  expect(await clients(b, 'leaver')).toEqual([])
})

for (const role of ['commit', 'read', 'output'])
  test(`when its ${role} connection is cut, again and again, each package still comes out once`, async () => {
    const b = await bench(on)
    await b.fill(2000)
    start(b, 'a', { settings: { ...QUICK, batch: 20 } })
    for (let cut = 1; cut <= 4; cut++) {
      const line = await until(
        async () => (await clients(b, 'a')).find(found => found.includes(`-${role} `)),
        'the connection',
      )
      const before = b.of('committed').length
      await until(() => b.of('committed').length > before || b.of('committed').length >= 100, 'a commit')
      await b.redis.client('KILL', 'ID', /id=(\d+)/.exec(line as string)?.[1] as string)
      await until(() => b.of('sessionOpened').length > cut, 'a new session')
      await b.fill(200)
    }
    await drained(b)
    expect(await numbers(b, 'a')).toEqual(upTo(2800))
  })

test('when Redis is killed and comes back, each package still comes out once', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  for (const id of ['a', 'b']) start(b, id, { settings: { ...QUICK, batch: 20 } })
  for (let kill = 0; kill < 2; kill++) {
    const before = b.of('committed').length
    await b.fill(1500)
    await until(() => b.of('committed').length > before + 5, 'some commits')
    await server.kill()
    await server.run()
  }
  await drained(b)
  expect(await numbers(b, 'a', 'b')).toEqual(upTo(3000))
  expect(b.of('outputCut')).toEqual([])
})

test('when Redis is stalled for longer than a deadline, each package still comes out once', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  await b.fill(2000)
  for (const id of ['a', 'b']) start(b, id, { settings: { ...QUICK, batch: 20, deadline: 150 } })
  await until(() => b.of('committed').length > 5, 'some commits')
  server.pause()
  await until(() => b.of('restarting').length > 2, 'both have given up')
  server.resume()
  await drained(b)
  expect(await numbers(b, 'a', 'b')).toEqual(upTo(2000))
})

test('a session that somebody ended is opened again', async () => {
  const b = await bench(on)
  start(b)
  await until(() => b.of('sessionOpened').length === 1, 'the session')
  await b.redis.hset(b.keys.sessions, 'a', '-')
  await until(() => b.of('sessionOpened').length === 2, 'the next session')
  expect(b.of('restarting')[0]?.error).toMatchObject({ code: 'FENCED' })
  await b.fill(5)
  await drained(b)
})

test('a group that was destroyed under a running consumer stops it, and says so', async () => {
  const b = await bench(on)
  await b.fill(5)
  const running = start(b)
  await drained(b)
  await b.redis.xgroup('DESTROY', b.keys.stream, 'workers')
  await until(() => running.error, 'an error')
  expect(running.error).toMatchObject({ name: 'StreamUnusable', code: 'GROUPGONE' })
})

test('after FLUSHALL consumers join the new life, and the files of the old one stay as they are', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  await b.fill(300)
  for (const id of ['a', 'b']) start(b, id, { settings: { ...QUICK, batch: 20 } })
  await drained(b)
  const old = { epoch: (await inspect(redis, b.keys)).epoch, numbers: await numbers(b, 'a', 'b') }
  await redis.flushall()
  await until(() => b.of('sessionOpened').length >= 4, 'both have joined')
  await b.fill(100)
  await drained(b)
  expect(await numbers(b, 'a', 'b')).toEqual(upTo(100))
  const then = Object.assign(Object.create(b), {
    directory: join(b.directory, 'runs', old.epoch as string),
  }) as Bench
  expect(await numbers(then, 'a', 'b')).toEqual(old.numbers)
  expect(old.numbers).toEqual(upTo(300))
})

test('a live process with the same id is named, and left alone', async () => {
  const b = await bench(on)
  start(b)
  await until(() => b.of('sessionOpened').length, 'the session')
  const second = start(b)
  await until(() => second.error, 'an error')
  expect(second.error).toMatchObject({ name: 'ConsumerIdInUse', consumer: 'a' })
  await b.fill(5)
  await drained(b)
  expect(b.of('restarting')).toEqual([])
})

test('poison ends in the dead letters, and stops nothing', async () => {
  const b = await bench(on)
  await b.fill(3)
  await b.redis.xadd(b.keys.stream, '*', 'data', 'poison')
  await b.redis.xadd(b.keys.stream, '*', 'other', 'poison')
  await b.fill(3)
  start(b, 'a', {
    handler: ({ package: n }) => {
      if (n === 2) throw new Error('not this one')
    },
  })
  await drained(b)
  expect(await numbers(b, 'a')).toEqual([1, 3, 4, 5, 6])
  expect((await b.dead()).map(({ reason }) => reason).sort()).toEqual([
    'handler failed',
    'no data',
    'unparseable',
  ])
  expect(b.of('dead').map(event => [event.reason, event.package])).toContainEqual(['handler failed', 2])
})

test('a consumer that dies leaves nothing that its peers and a flush do not bring to light', async () => {
  const b = await bench(on)
  await b.fill(500)
  const dying = start(b, 'a', { settings: { ...QUICK, batch: 20 } })
  await until(() => b.of('committed').length > 3, 'some commits')
  dying.subscription.unsubscribe()
  start(b, 'b')
  await drained(b)
  await flush(b.redis, b.keys, b.directory)
  expect(await numbers(b, 'a', 'b')).toEqual(upTo(500))
})

test('an output directory that cannot be used is waited for when it may become usable, and refused when not', async () => {
  const b = await bench(on)
  const file = join(await mkdtemp(join(tmpdir(), 'conveyor-test-')), 'a-file')
  await writeFile(file, '')
  const waiting = start(b, 'a', { outputDirectory: join(file, 'below') })
  await until(() => b.of('restarting').length > 1, 'attempts')
  expect(waiting.error).toBeUndefined()
  waiting.subscription.unsubscribe()
  await writeFile(join(b.directory, 'consumer_b.txt'), 'precious')
  const refused = start(b, 'b')
  await until(() => refused.error, 'an error')
  expect(refused.error).toMatchObject({ name: 'OutputRefused' })
})

test('the stream is trimmed beside running consumers, and nothing is lost', async () => {
  const b = await bench(on)
  const epochOf = async () => (await inspect(b.redis, b.keys)).epoch as string
  for (const id of ['a', 'b']) start(b, id, { settings: { ...QUICK, batch: 20 } })
  for (let i = 0; i < 20; i++) {
    await b.fill(100)
    await trim(b.redis, b.keys, { epoch: await epochOf(), above: 100, to: 50, events: b.events })
  }
  await drained(b)
  expect(await numbers(b, 'a', 'b')).toEqual(upTo(2000))
  expect(await b.count('lost')).toBe(0)
  expect(
    (await trim(b.redis, b.keys, { epoch: await epochOf(), above: 100, to: 50 })).length,
  ).toBeLessThanOrEqual(100)
})

test('a group of its own that is not among the groups of the stream is an error, not a loop', async () => {
  const b = await bench(on)
  const running = start(b, 'a', { groups: [newName()] })
  await until(() => running.error ?? b.of('restarting').length > 4, 'an error')
  expect(running.error).toBeInstanceOf(Error)
})
