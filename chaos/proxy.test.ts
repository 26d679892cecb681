import { once } from 'node:events'
import { connect } from 'node:net'
import { findRedisServer, type RedisProcess, startRedis } from '@conveyor/redis'
import { Redis } from 'ioredis'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type RedisProxy, startProxy } from './proxy.ts'
import { RespFrames } from './resp-frames.ts'

let path: string
let server: RedisProcess
let proxy: RedisProxy
/** Not through the proxy: what Redis really has. */
let truth: Redis
const clients: Redis[] = []

beforeAll(async () => {
  path = (await findRedisServer({ interactive: false })).path
}, 600_000)
beforeEach(async () => {
  server = await startRedis({ path, appendfsync: 'no' })
  proxy = await startProxy({ target: { host: '127.0.0.1', port: server.port } })
  truth = client(server.url)
})
afterEach(async () => {
  for (const one of clients.splice(0)) one.disconnect()
  await proxy.close()
  expect(proxy.connections).toBe(0)
  await server.stop()
})

/** Connects once, repeats nothing, and fails a command as soon as its connection is gone. */
function client(url = proxy.url): Redis {
  const redis = new Redis(url, {
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    disableClientInfo: true,
  })
  redis.on('error', () => {})
  clients.push(redis)
  return redis
}

async function connected(url?: string): Promise<Redis> {
  const redis = client(url)
  await redis.ping()
  return redis
}

const closed = (redis: Redis) => vi.waitFor(() => expect(redis.status).toBe('end'))

/** Whether a promise is still open after a round trip past the proxy, in which its answer would have come. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  let open = true
  promise.then(
    () => {
      open = false
    },
    () => {
      open = false
    },
  )
  for (let trip = 0; trip < 20; trip++) await truth.ping()
  return open
}

test('passes everything, of any size, and counts connections', async () => {
  const redis = await connected()
  expect(proxy.connections).toBe(1)
  const large = 'ü'.repeat(3_000_000)
  await redis.set('large', large)
  expect(await redis.get('large')).toBe(large)
  const pipeline = redis.pipeline()
  for (let i = 0; i < 5_000; i++) pipeline.incr('counter')
  const results = await pipeline.exec()
  expect(results?.at(-1)).toEqual([null, 5_000])
  const other = await connected()
  expect(proxy.connections).toBe(2)
  await other.quit()
  await vi.waitFor(() => expect(proxy.connections).toBe(1))
})

test('cutAll resets every connection, and new ones work', async () => {
  const [one, two] = [await connected(), await connected()]
  const blocked = one.blpop('nothing', 0)
  const noticed = expect(blocked).rejects.toThrow()
  await proxy.cutAll()
  await noticed
  expect(proxy.connections).toBe(0)
  await Promise.all([closed(one), closed(two)])
  await vi.waitFor(async () => expect(await truth.client('LIST')).not.toContain('blpop'))
  expect(await (await connected()).ping()).toBe('PONG')
})

test('pause holds requests and replies back until resume, and lets clients connect', async () => {
  const redis = await connected()
  proxy.pause()
  const answers = Promise.all([redis.incr('a'), redis.incr('a')])
  const late = client().incr('a')
  expect(await isOpen(answers)).toBe(true)
  expect(proxy.connections).toBe(2)
  expect(await truth.get('a')).toBeNull()
  proxy.resume()
  expect([...(await answers), await late].sort()).toEqual([1, 2, 3])
})

test('pause hides from Redis that a client has gone', async () => {
  const redis = await connected()
  await redis.client('SETNAME', 'gone')
  proxy.pause()
  redis.disconnect()
  await vi.waitFor(() => expect(proxy.connections).toBe(0))
  expect(await truth.client('LIST')).toContain('name=gone')
  proxy.resume()
  await vi.waitFor(async () => expect(await truth.client('LIST')).not.toContain('name=gone'))
})

test('blackhole loses everything on the connections there are, and only there', async () => {
  const redis = await connected()
  proxy.blackhole()
  const lost = redis.incr('a')
  lost.catch(() => {})
  expect(await isOpen(lost)).toBe(true)
  expect(await (await connected()).incr('a')).toBe(1)
  proxy.resume()
  expect(await isOpen(lost)).toBe(true)
})

test('delay makes both ways longer and keeps the order', async () => {
  const redis = await connected()
  proxy.delay(40)
  const started = performance.now()
  expect(await Promise.all([redis.incr('a'), redis.incr('a')])).toEqual([1, 2])
  expect(performance.now() - started).toBeGreaterThanOrEqual(80)
  const slow = redis.incr('a')
  proxy.delay(0)
  expect(await Promise.all([redis.incr('a'), slow])).toEqual([4, 3])
})

describe('dropNextReply', () => {
  test('lets Redis execute the request, loses its reply and cuts', async () => {
    const redis = await connected()
    const dropped = proxy.dropNextReply(request => request.includes('\r\nsecond\r\n'))
    expect(await redis.incr('first')).toBe(1)
    const lost = redis.incr('second')
    await expect(lost).rejects.toThrow()
    await dropped
    expect(await truth.get('second')).toBe('1')
    await closed(redis)
    const again = await connected()
    expect(await again.incr('second')).toBe(2)
  })

  test('passes the replies before it and none after, however requests are pipelined', async () => {
    const redis = await connected()
    const dropped = proxy.dropNextReply(request => request.includes('\r\nb\r\n'))
    const results = await Promise.allSettled(['a', 'b', 'c'].map(key => redis.incr(key)))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    await dropped
    expect(await truth.mget('a', 'b')).toEqual(['1', '1'])
  })

  test('waits for a request that blocks', async () => {
    const redis = await connected()
    const dropped = proxy.dropNextReply(request => request.includes('blpop'))
    const lost = redis.blpop('list', 0)
    const noticed = expect(lost).rejects.toThrow()
    expect(await isOpen(dropped)).toBe(true)
    await truth.rpush('list', 'x')
    await dropped
    await noticed
    expect(await truth.llen('list')).toBe(0)
  })

  test('finds a script by what it is called with', async () => {
    const redis = await connected()
    redis.defineCommand('bump', { numberOfKeys: 1, lua: "return redis.call('INCR', KEYS[1])" })
    const bump = (key: string) =>
      (redis as unknown as Record<string, (key: string) => Promise<number>>).bump?.(key)
    expect(await bump('other')).toBe(1)
    const dropped = proxy.dropNextReply(
      request => request.includes('evalsha') && request.includes('\r\nkey\r\n'),
    )
    await expect(bump('key')).rejects.toThrow()
    await dropped
    expect(await truth.get('key')).toBe('1')
  })

  test('can leave the connection open and silent', async () => {
    const redis = await connected()
    const dropped = proxy.dropNextReply(request => request.includes('\r\na\r\n'), { thenCut: false })
    const lost = [redis.incr('a'), redis.incr('b')]
    for (const promise of lost) promise.catch(() => {})
    await dropped
    expect(await isOpen(Promise.race(lost))).toBe(true)
    expect(redis.status).toBe('ready')
    expect(proxy.connections).toBe(1)
    expect(await truth.mget('a', 'b')).toEqual(['1', '1'])
  })

  test('takes several requests in turn, on any connection', async () => {
    const [one, two] = [await connected(), await connected()]
    const first = proxy.dropNextReply(request => request.includes('incr'))
    const second = proxy.dropNextReply(request => request.includes('incr'))
    await expect(one.incr('a')).rejects.toThrow()
    await first
    await expect(two.incr('a')).rejects.toThrow()
    await second
    expect(await (await connected()).incr('a')).toBe(3)
  })

  test('says when its connection went first', async () => {
    const redis = await connected()
    const dropped = proxy.dropNextReply(request => request.includes('blpop'))
    redis.blpop('list', 0).catch(() => {})
    await vi.waitFor(async () => expect(await truth.client('LIST')).toContain('cmd=blpop'))
    redis.disconnect()
    await expect(dropped).rejects.toThrow('connection closed before the reply')
  })

  test('says when nothing matched until the end', async () => {
    const dropped = proxy.dropNextReply(() => false)
    await proxy.close()
    await expect(dropped).rejects.toThrow('no request matched')
    proxy = await startProxy({ target: { host: '127.0.0.1', port: server.port } })
  })
})

test('a client that leaves while its reply is being lost is cut as well', async () => {
  const raw = connect(proxy.port, '127.0.0.1').on('error', () => {})
  await once(raw, 'connect')
  const dropped = proxy.dropNextReply(request => request.includes('BLPOP'))
  raw.write('*3\r\n$5\r\nBLPOP\r\n$1\r\nk\r\n$1\r\n0\r\n')
  await vi.waitFor(async () => expect(await truth.client('LIST')).toContain('cmd=blpop'))
  proxy.pause()
  await truth.rpush('k', 'v')
  raw.end()
  await vi.waitFor(() => expect(proxy.connections).toBe(0)) // its end has reached the proxy, which holds it back
  proxy.resume()
  await dropped
  expect(proxy.connections).toBe(0)
})

test('cutMidReply passes the replies before it and the first half of its own', async () => {
  await truth.set('long', 'x'.repeat(1_000))
  const cut = proxy.cutMidReply(request => request.includes('long'))
  const socket = connect(proxy.port, '127.0.0.1')
  let received = ''
  socket.setEncoding('latin1').on('data', text => {
    received += text
  })
  socket.on('error', () => {})
  socket.write('*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$4\r\nlong\r\n')
  await once(socket, 'close')
  await cut
  // Half of: `$1000`, line end, 1,000 bytes, line end.
  expect(received).toBe(`+PONG\r\n$1000\r\n${'x'.repeat(498)}`)
})

test('cutMidReply is an error for a client too', async () => {
  await truth.rpush('list', 'a', 'b', 'c')
  const redis = await connected()
  const cut = proxy.cutMidReply(request => request.includes('lrange'))
  await expect(redis.lrange('list', 0, -1)).rejects.toThrow()
  await cut
  await closed(redis)
})

test('a target that is gone is a reset connection, and one that is back works', async () => {
  const redis = await connected()
  server.kill('SIGKILL')
  await server.exited
  await closed(redis)
  const refused = client()
  await closed(refused)
  await server.stop()
  server = await startRedis({ path, port: server.port })
  expect(await (await connected()).ping()).toBe('PONG')
})

test('values are found however the bytes are cut', () => {
  const values = [
    '+OK\r\n',
    '-ERR no\r\n',
    ':12\r\n',
    '$-1\r\n',
    '$0\r\n\r\n',
    '$4\r\na\r\nb\r\n',
    '*-1\r\n',
    '*0\r\n',
    '*2\r\n*1\r\n:1\r\n$1\r\nx\r\n',
    '%1\r\n+key\r\n*1\r\n,1.5\r\n',
    '~1\r\n#t\r\n',
    '>2\r\n+message\r\n$1\r\nx\r\n',
    '|1\r\n+ttl\r\n:1\r\n$1\r\nx\r\n',
    '=7\r\ntxt:a\r\n\r\n',
    '_\r\n',
  ]
  const bytes = Buffer.from(values.join(''))
  for (let size = 1; size <= bytes.length; size++) {
    const frames = new RespFrames()
    const found: string[] = []
    for (let start = 0; start < bytes.length; start += size) {
      found.push(...frames.push(bytes.subarray(start, start + size)).map(String))
    }
    expect(found).toEqual(values)
  }
})
