import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { bench, done, ownRedis, settle, until, useRedis } from '../tests/redis.ts'
import { answer, ConnectionLost, connect, isPassing, plainError, RedisError } from './connection.ts'

const on = useRedis()

test('a server that accepts connections and never answers is not connected to', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  onTestFinished(() => void silent.close())
  await until(() => silent.listening, 'the silent server listens')
  const { port } = silent.address() as { port: number }
  await expect(connect(`redis://127.0.0.1:${port}`, 'test', 100)).rejects.toThrow(ConnectionLost)
})

test('a stopped server is found out by the deadline of the command', async () => {
  const { server } = await ownRedis()
  const redis = await connect(server.url, 'test', 100)
  server.pause()
  await expect(answer(redis.ping())).rejects.toThrow(ConnectionLost)
  redis.disconnect()
})

test('nobody at the port: the error names host and port, and not a password', async () => {
  const error = await connect('redis://:secret@127.0.0.1:1', 'test', 1000).catch(found => found)
  expect(error).toBeInstanceOf(ConnectionLost)
  expect(error.message).toContain('127.0.0.1:1')
  expect(error.message).toContain('ECONNREFUSED')
  expect(error.message).not.toContain('secret')
})

test('a connection that was cut does not come back, and refuses what is sent on it later', async () => {
  const redis = await connect(on.server.url, 'cut-me', 1000)
  const id = await redis.client('ID')
  await on.redis.client('KILL', 'ID', id)
  await until(() => redis.status === 'end', 'the connection has ended')
  const error = await answer(redis.incr('never')).catch(found => found)
  expect(error).toBeInstanceOf(ConnectionLost)
  expect(await on.redis.exists('never')).toBe(0)
})

test('a command in flight when the connection is cut is not sent again', async () => {
  const redis = await connect(on.server.url, 'cut-me', 0)
  const id = await redis.client('ID')
  const popped = answer(redis.blpop('list', 0))
  const lost = expect(popped).rejects.toThrow(ConnectionLost)
  await until(async () => String(await on.redis.client('LIST')).includes('cmd=blpop'), 'the read blocks')
  await on.redis.client('KILL', 'ID', id)
  await lost
  await on.redis.rpush('list', 'kept')
  expect(await on.redis.llen('list')).toBe(1)
})

test('connections are named in CLIENT LIST', async () => {
  const redis = await connect(on.server.url, 'conveyor-x-read')
  expect(String(await on.redis.client('LIST'))).toContain('name=conveyor-x-read ')
  redis.disconnect()
})

test('an error keeps its code and none of the arguments of its command', async () => {
  const b = await bench(on)
  const entries = await b.fill(1)
  const session = await b.open('a')
  await b.receive('a', 1)
  await b.redis.del(b.keys.sessions)
  const error = await settle(
    session,
    done(entries, () => 'the secret payload'),
  ).catch(found => found)
  expect(error).toBeInstanceOf(RedisError)
  expect(error.code).toBe('FENCED')
  expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('secret')
  expect(Object.keys(error)).not.toContain('command')
})

test('an error inside a script has the code of the error, and no hash of the script', async () => {
  const b = await bench(on)
  const session = await b.open('a')
  await b.redis.set(b.keys.sessions, 'a string')
  const error = await settle(session, done(['1-1'])).catch(found => found)
  expect(error).toMatchObject({ name: 'RedisError', code: 'WRONGTYPE' })
  expect(error.message).not.toMatch(/[0-9a-f]{40}/)
})

test('what waiting may mend is told from what it does not', () => {
  for (const text of ['LOADING x', 'OOM x', 'MISCONF x', 'READONLY x', 'BUSY x'])
    expect(isPassing(new RedisError(text))).toBe(true)
  for (const text of ['FENCED a', 'WRONGTYPE x', 'NOPERM x', 'ERR x'])
    expect(isPassing(new RedisError(text))).toBe(false)
  expect(isPassing(new ConnectionLost('x'))).toBe(true)
  expect(isPassing(new Error('x'))).toBe(false)
})

test('an error is made plain once', () => {
  const error = new RedisError('FENCED a')
  expect(plainError(error)).toBe(error)
  expect(plainError('text')).toMatchObject({ message: 'text' })
})

test('a password that the server refuses is not waited out', async () => {
  const { server, redis } = await ownRedis()
  await redis.config('SET', 'requirepass', 'right')
  const url = server.url.replace('//', '//:wrong@')
  const error = await connect(url, 'test', 1000).catch(found => found)
  expect(String(error)).toContain('WRONGPASS')
  expect(isPassing(error)).toBe(false)
})
