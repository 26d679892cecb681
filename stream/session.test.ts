import { readlink } from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, done, ownRedis, QUICK, settle, until, useRedis } from '../tests/redis.ts'
import { InvalidName } from './keys.ts'
import { StreamUnusable } from './open.ts'
import { Script } from './scripts.ts'
import { ConsumerIdInUse, openSession, type Session, tidy } from './session.ts'

const on = useRedis()
const beatScript = new Script('beat')

const beat = ({ redis, options: { keys, consumer }, token }: Session) =>
  beatScript.run(redis, [keys.stream, keys.sessions, keys.beats], [keys.group, consumer, token])
const tokenOf = (b: Bench, consumer: string) => b.redis.hget(b.keys.sessions, consumer)

test('opening creates file and link, records the token, and beats before the first read', async () => {
  const b = await bench(on)
  const session = await b.open('a')
  expect(await b.file('a')).toBe('')
  expect(await readlink(join(b.directory, 'consumer_a.txt'))).toBe(`runs/${session.epoch}/consumer_a.txt`)
  expect(await tokenOf(b, 'a')).toBe(session.token)
  expect(await b.redis.hget(b.keys.beats, 'a')).toBe('1')
  expect(b.of('sessionOpened')).toEqual([
    { type: 'sessionOpened', consumer: 'a', epoch: session.epoch, output: 0 },
  ])
})

test('an id in use is refused, naming the host and process that hold it', async () => {
  const b = await bench(on)
  const first = await b.open('a')
  const beating = setInterval(() => void beat(first), 10)
  onTestFinished(() => clearInterval(beating))
  const error = await b.open('a').catch(found => found)
  expect(error).toBeInstanceOf(ConsumerIdInUse)
  expect(error).toMatchObject({ consumer: 'a', holder: `${hostname()}/${process.pid}` })
  expect(error.message).toContain(`${hostname()}/${process.pid}`)
  expect(await tokenOf(b, 'a')).toBe(first.token)
})

test('an id whose holder is silent is taken over, and the holder is fenced', async () => {
  const b = await bench(on)
  const first = await b.open('a')
  const second = await b.open('a')
  expect(await tokenOf(b, 'a')).toBe(second.token)
  await expect(beat(first)).rejects.toThrow('FENCED')
  await expect(beat(second)).resolves.toBeDefined()
})

test('a take-over waits for deathBeats looks', async () => {
  const b = await bench(on)
  await b.open('a')
  const started = performance.now()
  await b.open('a', { beatInterval: 60, deathBeats: 3 })
  expect(performance.now() - started).toBeGreaterThanOrEqual(3 * 60 - 5)
})

test('of several that want the id of a silent holder, one gets it', async () => {
  const b = await bench(on)
  await b.open('a')
  const wanting = [1, 2, 3].map(async () => {
    const session = await b.open('a')
    const beating = setInterval(() => void beat(session).catch(() => {}), 10)
    onTestFinished(() => clearInterval(beating))
    return session
  })
  const results = await Promise.allSettled(wanting)
  const winners = results.filter(result => result.status === 'fulfilled')
  expect(winners).toHaveLength(1)
  expect(await tokenOf(b, 'a')).toBe(winners[0]?.value.token)
  for (const result of results)
    if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(ConsumerIdInUse)
})

test('a stalled Redis proves nothing about the holder of an id', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const first = await b.open('a')
  let answered = 0
  const beating = setInterval(() => void beat(first).then(() => answered++), 10)
  onTestFinished(() => clearInterval(beating))
  const second = b.open('a', { deadline: 10_000, beatInterval: 50 })
  const refused = expect(second).rejects.toThrow(ConsumerIdInUse)
  await until(() => answered > 2, 'the holder beats')
  server.pause()
  const stall = performance.now() + 700
  await until(() => performance.now() > stall, 'a stall longer than death takes')
  server.resume()
  await refused
})

test('its own earlier session is replaced at once', async () => {
  const b = await bench(on)
  const first = await b.open('a')
  const second = await b.open('a', { beatInterval: 60_000 }, first.token)
  expect(await tokenOf(b, 'a')).toBe(second.token)
  await expect(settle(first, done(['1-1']))).rejects.toThrow('FENCED')
})

test('a session that was closed can be opened at once', async () => {
  const b = await bench(on)
  const first = await b.open('a')
  await b.fill(1)
  await b.receive('a', 1) // something is left, so that closing cannot remove the consumer
  await first.close()
  expect(await tokenOf(b, 'a')).toBe('-')
  await b.open('a', { beatInterval: 60_000 })
})

test('closing what was taken over ends nothing', async () => {
  const b = await bench(on)
  const first = await b.open('a')
  const second = await b.open('a')
  await first.close()
  expect(await tokenOf(b, 'a')).toBe(second.token)
})

test('a consumer that closes with nothing left is removed, but the length of its file is kept', async () => {
  const b = await bench(on)
  const entries = await b.fill(1)
  const session = await b.open('a')
  await b.receive('a', 1)
  await settle(session, done(entries))
  await session.close()
  expect(await tokenOf(b, 'a')).toBe('-') // its output is not on disk yet
  await session.writer?.flush()
  expect(await tidy(b.redis, b.keys, 'a')).toBe(true)
  expect(await b.redis.exists(b.keys.sessions, b.keys.beats, b.keys.output('a'))).toBe(0)
  expect(await b.redis.xinfo('CONSUMERS', b.keys.stream, b.keys.group)).toEqual([])
  expect((await b.open('a')).committed).toBe(`line of ${entries[0]}\n`.length)
})

test('a consumer with a pending entry is not removed, which would throw the entry away', async () => {
  const b = await bench(on)
  await b.fill(1)
  const session = await b.open('a')
  await b.receive('a', 1)
  await session.close()
  expect(await tidy(b.redis, b.keys, 'a')).toBe(false)
  expect(await b.pending('a')).toHaveLength(1)
})

test('a live consumer is not removed', async () => {
  const b = await bench(on)
  await b.open('a')
  expect(await tidy(b.redis, b.keys, 'a')).toBe(false)
})

test('an output log left over from an earlier life is not written into the new file', async () => {
  const b = await bench(on)
  await b.redis.xadd(b.keys.output('a'), '5-5', 'lines', 'old!\n')
  const session = await b.open('a')
  expect(await session.writer?.flush()).toBe(0)
  expect(await b.file('a')).toBe('')
})

test('after FLUSHALL everybody of the old life is fenced, and the id is free', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const first = await b.open('a')
  await redis.flushall()
  const second = await b.open('a', { beatInterval: 60_000 })
  expect(second.epoch).not.toBe(first.epoch)
  await expect(settle(first, done(['1-1']))).rejects.toThrow('FENCED')
})

test('a session of one life cannot be opened in the next', async () => {
  const b = await bench(on)
  const { epoch } = await b.open('a')
  const names = [b.keys.head, b.keys.sessions, b.keys.beats, b.keys.files, b.keys.output('b')]
  const script = new Script('session')
  await b.redis.hset(b.keys.head, 'epoch', 'another')
  await expect(script.run(b.redis, names, [epoch, 'b', 'token', '', '', 1])).rejects.toThrow('EPOCH')
  expect(await tokenOf(b, 'b')).toBeNull()
})

test('an id that would escape into the path of its file is refused before anything is done', async () => {
  const b = await bench(on)
  for (const id of ['', '../a', 'a/b', 'a b', 'ä', 'a\n', '-\0', 'x'.repeat(65)])
    await expect(b.open(id)).rejects.toThrow(InvalidName)
  expect(await b.redis.exists(b.keys.head)).toBe(0)
})

test('an opening that is refused closes its connections', async () => {
  const b = await bench(on)
  await b.fill(1)
  await b.redis.xgroup('DESTROY', b.keys.stream, b.keys.group)
  await expect(openSession(b.options('refused'))).rejects.toThrow(StreamUnusable)
  const clients = async () => String(await b.redis.client('LIST'))
  await until(async () => !(await clients()).includes('conveyor-refused-'), 'no connection is left')
})

test('when one of its connections fails, the ones that succeed later are closed as well', async () => {
  const b = await bench(on)
  let connections = 0
  // The second connection is cut, the third one is slow.
  const proxy = createServer(client => {
    const n = ++connections
    if (n === 2) return void client.destroy()
    const redis = new Socket().connect(on.server.port, '127.0.0.1')
    client.on('data', bytes => setTimeout(() => redis.write(bytes), n === 3 ? 100 : 0))
    redis.pipe(client)
    for (const [one, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void proxy.close())
  await until(() => proxy.listening, 'the proxy listens')
  const url = `redis://127.0.0.1:${(proxy.address() as { port: number }).port}`
  await expect(openSession({ ...b.options('cut'), url, settings: QUICK })).rejects.toThrow()
  const left = async () => String(await b.redis.client('LIST')).includes('conveyor-cut-')
  const seen = performance.now() + 400
  await until(() => performance.now() > seen, 'the slow connection had its time')
  expect(await left()).toBe(false)
})
