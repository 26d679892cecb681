import { mkdir, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { type Redis as Client, Redis } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { plain } from '../cli/colors.ts'
import { formatDiagnosis } from '../cli/doctor/doctor.ts'
import { type Bench, bench, done, ownRedis, settle, useRedis } from '../tests/redis.ts'
import type { Check } from './check.ts'
import { checkClock } from './clock.ts'
import { checkCollector } from './collector.ts'
import { diagnose } from './diagnose.ts'
import { checkFileSystem, checkOutput } from './output.ts'
import { checkPermissions } from './permissions.ts'
import { checkServer, checkVersion } from './server.ts'
import { checkStream } from './stream.ts'

const on = useRedis()

const QUICK_BEATS = { beatInterval: 20, deathBeats: 5 }

const byId = (checks: readonly Check[], id: string): Check => {
  const found = checks.find(check => check.id === id)
  expect(found, `a check ${id} in ${JSON.stringify(checks)}`).toBeDefined()
  return found as Check
}

const wrong = (checks: readonly Check[]) =>
  checks.flatMap(({ id, status }) => (status === 'finding' ? [id] : []))

/** A user of the shared server with rights of its own; its connection. */
async function user(b: Bench, ...rules: string[]): Promise<Client> {
  const name = `u${b.keys.stream}`
  await b.redis.call('ACL', 'SETUSER', name, 'on', '>pw', ...rules)
  const redis = new Redis(on.server.port, { username: name, password: 'pw', enableReadyCheck: false })
  onTestFinished(() => redis.disconnect())
  return redis
}

describe('server', () => {
  test('one as `conveyor up` starts it', async () => {
    const { redis } = await ownRedis()
    const checks = await checkServer(redis)
    expect(wrong(checks)).toEqual([])
    expect(byId(checks, 'version').text).toMatch(/^(Redis|Valkey) \d/)
    expect(byId(checks, 'features').status).toBe('note')
  })

  test('one that evicts, is full, and keeps nothing', async () => {
    const { redis } = await ownRedis()
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await redis.config('SET', 'maxmemory', '1mb')
    await redis.config('SET', 'appendfsync', 'everysec')
    expect(wrong(await checkServer(redis))).toEqual(['appendfsync', 'eviction', 'memory'])
    await redis.config('SET', 'appendonly', 'no')
    const checks = await checkServer(redis)
    expect(wrong(checks)).toEqual(['persistence', 'eviction', 'memory'])
    for (const { status, fix } of checks) if (status === 'finding') expect(fix).toBeTruthy()
  })

  test('a replica', async () => {
    const { redis } = await ownRedis()
    await redis.replicaof('127.0.0.1', 1)
    expect(byId(await checkServer(redis), 'role')).toMatchObject({
      status: 'finding',
      fix: 'use --redis-url redis://127.0.0.1:1',
    })
  })

  test('one that does not answer CONFIG, as managed ones', async () => {
    const b = await bench(on)
    const checks = await checkServer(await user(b, '~*', '+@all', '-config'))
    expect(wrong(checks)).toEqual([])
    expect(byId(checks, 'appendfsync')).toMatchObject({ status: 'note', text: /not known/ })
  })

  test.each([
    ['6.2.14', 'finding'],
    ['7.0.15', 'ok'],
    ['10.0.0', 'ok'],
  ])('version %s: %s', (version, status) => {
    const server = { info: new Map([['redis_version', version]]), config: new Map() }
    expect(checkVersion(server).status).toBe(status)
  })
})

describe('permissions', () => {
  test('all, by default', async () => {
    const b = await bench(on)
    expect(await checkPermissions(b.redis, b.keys)).toMatchObject({ status: 'ok' })
  })

  test('a command and a key that are not allowed, and the rules that allow them', async () => {
    const b = await bench(on)
    const redis = await user(b, '~other', '+@all', '-xadd')
    const { status, fix } = await checkPermissions(redis, b.keys)
    expect(status).toBe('finding')
    const rules = fix?.replaceAll("'", '').split(' ').slice(4) as string[]
    expect(rules).toEqual(['+xadd', `~${b.keys.stream}`, `~{${b.keys.stream}}:*`])
    await b.redis.call('ACL', 'SETUSER', `u${b.keys.stream}`, ...rules)
    expect((await checkPermissions(redis, b.keys)).status).toBe('ok')
  })

  test('what they are is not known to everybody', async () => {
    const b = await bench(on)
    expect((await checkPermissions(await user(b, '~*', '+@all', '-acl'), b.keys)).status).toBe('note')
  })
})

describe('clock', () => {
  test.each([
    [0, 'ok', / ms from/],
    [400, 'ok', /[34]\d\d ms from/],
    [-5000, 'finding', /5 s ahead of/],
    [60_000, 'finding', /60 s behind/],
  ])('this machine’s is off by %i ms: %s', async (off, status, text) => {
    const check = await checkClock(on.redis, () => Date.now() + off)
    expect(check).toMatchObject({ status, text: expect.stringMatching(text) })
  })
})

describe('stream', () => {
  const check = (b: Bench) => checkStream(b.redis, b.keys, QUICK_BEATS)

  test('none yet', async () => {
    const b = await bench(on)
    expect(await check(b)).toMatchObject([{ id: 'stream', status: 'note' }])
  })

  test('a key of another type, entries without a head, a head without entries', async () => {
    const b = await bench(on)
    await b.redis.set(b.keys.stream, 'x')
    expect(wrong(await check(b))).toEqual(['stream'])
    await b.redis.del(b.keys.stream)
    await b.redis.xadd(b.keys.stream, '*', 'a', 'b')
    expect((await check(b))[0]).toMatchObject({ status: 'finding', text: /head .* is missing/ })
    await b.redis.del(b.keys.stream)
    await b.fill(1)
    await b.redis.del(b.keys.stream)
    expect((await check(b))[0]).toMatchObject({ status: 'finding', text: /was deleted/ })
  })

  test('all is well', async () => {
    const b = await bench(on)
    await b.fill(3)
    expect(wrong(await check(b))).toEqual([])
  })

  test('a recorded group that was destroyed, and one that was never recorded', async () => {
    const b = await bench(on, ['workers', 'audit'])
    await b.fill(3)
    await b.redis.xgroup('CREATE', b.keys.stream, 'guests', '0')
    const guests = { ...b.keys, group: 'guests' }
    expect(wrong(await checkStream(b.redis, guests, QUICK_BEATS))).toEqual(['groups'])
    await b.redis.xgroup('DESTROY', b.keys.stream, 'audit')
    expect(byId(await check(b), 'groups')).toMatchObject({ status: 'finding', text: /audit/ })
  })

  test('entries pending for the dead: a finding when nobody is there to take over', async () => {
    const b = await bench(on)
    await b.fill(3)
    await b.open('a') // beats no more
    await b.receive('a', 2)
    const pending = byId(await check(b), 'pending')
    expect(pending).toMatchObject({ status: 'finding', text: /a \(dead\) 2/ })
    let beats = 0
    const beating = setInterval(() => b.redis.hset(b.keys.beats, 'b', ++beats), 10)
    onTestFinished(() => clearInterval(beating))
    await b.open('b')
    expect(byId(await check(b), 'pending')).toMatchObject({ status: 'note', text: /take over/ })
  })

  test('dead letters, retries that nobody returns, entries of others', async () => {
    const b = await bench(on)
    await b.fill(3)
    const session = await b.open('a')
    const [one, two] = await b.receive('a', 2)
    const failure = { reason: 'handler failed', detail: '' }
    await settle(session, [
      { entry: one as string, kind: 'dead', ...failure },
      { entry: two as string, kind: 'retry', delay: 10, ...failure },
    ])
    await b.redis.xadd(b.keys.stream, '*', 'by', 'others')
    expect(wrong(await check(b))).toEqual(['dead letters', 'entries'])
    await b.redis.zadd(b.keys.retry, Date.now() - 60_000, two as string)
    const checks = await check(b)
    expect(wrong(checks)).toEqual(['dead letters', 'retries', 'entries'])
    expect(byId(checks, 'dead letters').text).toBe('1 (1 handler failed)')
    expect(byId(checks, 'retries').text).toMatch(/overdue by 60 s/)
  })

  test('a group that pins a long stream', async () => {
    const b = await bench(on, ['workers', 'audit'])
    await b.fill(100_000)
    expect(byId(await check(b), 'trim')).toMatchObject({ status: 'finding', fix: /group (workers|audit)/ })
  })
})

describe('output', () => {
  const check = (b: Bench, dir = b.directory) => checkOutput(dir, b.keys)

  test('not there yet, not a directory, not writable', async () => {
    const b = await bench(on)
    expect(byId(await check(b, join(b.directory, 'a', 'b')), 'output').status).toBe('note')
    await writeFile(join(b.directory, 'file'), '')
    expect(wrong(await check(b, join(b.directory, 'file')))).toEqual(['output'])
    expect(wrong(await check(b, '/proc/self'))).toEqual(['output'])
  })

  test('its owner', async () => {
    const b = await bench(on)
    expect(wrong(await check(b))).toEqual([])
    await b.fill(1)
    await b.open('a')
    expect(byId(await check(b), 'owner').text).toContain(b.keys.stream)
    const others = { ...b.keys, group: 'others' }
    expect(wrong(await checkOutput(b.directory, others))).toEqual(['owner'])
    await rm(join(b.directory, 'runs/.owner'))
    await writeFile(join(b.directory, 'runs/.owner'), '')
    expect(byId(await check(b), 'owner').text).toMatch(/is not a link/)
  })

  test('links that lead nowhere, elsewhere, or are files', async () => {
    const b = await bench(on)
    const path = join(b.directory, 'consumer_a.txt')
    for (const target of ['runs/gone/consumer_a.txt', '/etc/hostname']) {
      await symlink(target, path)
      expect(wrong(await check(b)), target).toEqual(['links'])
      await unlink(path)
    }
    await writeFile(path, '')
    expect(wrong(await check(b))).toEqual(['links'])
  })

  test('a file that lost what was on disk', async () => {
    const b = await bench(on)
    const entries = await b.fill(2)
    const session = await b.open('a')
    await b.receive('a', 2)
    await settle(session, done(entries))
    await session.writer?.flush()
    const looked = async () => {
      const { diagnosis } = await diagnosed(b)
      return byId(diagnosis.checks, 'files')
    }
    expect(await looked()).toMatchObject({ status: 'ok', text: /^1 / })
    const folder = join(b.directory, 'runs', session.epoch)
    await writeFile(join(folder, 'consumer_a.txt'), 'short')
    expect(await looked()).toMatchObject({ status: 'finding', text: /consumer_a.txt lacks \d+ bytes/ })
    await rm(folder, { recursive: true })
    expect(await looked()).toMatchObject({ status: 'note', text: /another host/ })
  })

  test('file systems', () => {
    expect(checkFileSystem(0x6969)).toMatchObject({ status: 'finding', text: /NFS/ })
    expect(checkFileSystem(0x01021994)).toMatchObject({ status: 'note', text: /tmpfs/ })
    expect(checkFileSystem(0xef53)).toMatchObject({ status: 'ok', text: 'ext4' })
    expect(checkFileSystem(undefined).status).toBe('note')
  })
})

describe('collector', () => {
  test('one that listens, one that does not, and one that nobody asked for', async () => {
    const server = createServer()
    await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }
    expect((await checkCollector(env)).status).toBe('ok')
    await new Promise(closed => server.close(closed))
    expect((await checkCollector(env)).status).toBe('finding')
    expect((await checkCollector({ OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense' })).status).toBe('finding')
    expect(['ok', 'note']).toContain((await checkCollector({})).status)
  })
})

async function diagnosed(b: Bench, url = b.url) {
  const { stream, group } = b.keys
  const options = { redisUrl: url, stream, group, ...QUICK_BEATS, json: true, outputDir: b.directory }
  const diagnosis = await diagnose(options, {})
  return { diagnosis, text: formatDiagnosis(diagnosis, 60, plain) }
}

test('all together: nothing found, and nothing changed', async () => {
  const b = await bench(on)
  await b.fill(3)
  const { diagnosis, text } = await diagnosed(b)
  expect(wrong(diagnosis.checks)).toEqual([])
  expect(diagnosis).toMatchObject({ reachable: true, findings: 0 })
  expect(text).toMatch(/nothing found$/)
  for (const line of text.split('\n')) expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(90)
  expect(await b.redis.keys(`*${b.keys.stream}*`)).toHaveLength(3) // stream, head, the lane of what was filled
})

test('Redis cannot be reached: what else there is, is looked at all the same', async () => {
  const b = await bench(on)
  await mkdir(join(b.directory, 'runs'))
  const { diagnosis, text } = await diagnosed(b, 'redis://me:secret@127.0.0.1:1')
  expect(diagnosis).toMatchObject({ reachable: false, findings: 1 })
  expect(byId(diagnosis.checks, 'output').status).toBe('ok')
  expect(text).toMatch(/Redis cannot be reached$/)
  expect(text).not.toContain('secret')
})

test('a wrong password, and a user that may nothing', async () => {
  const b = await bench(on)
  const address = `127.0.0.1:${on.server.port}`
  await b.redis.call('ACL', 'SETUSER', `u${b.keys.stream}`, 'on', '>pw', '~*', '+@all', '-evalsha')
  const refused = await diagnosed(b, `redis://nobody:no@${address}`)
  expect(refused.diagnosis).toMatchObject({ reachable: true })
  expect(wrong(refused.diagnosis.checks)).toEqual(['redis'])
  const { diagnosis } = await diagnosed(b, `redis://u${b.keys.stream}:pw@${address}`)
  expect(wrong(diagnosis.checks)).toEqual(['permissions', 'stream'])
})
