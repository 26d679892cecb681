import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { askRedis } from './answer.ts'
import { findRedisServer } from './find.ts'
import { clearStaleLock, lockFile, RedisInUse, readLock, runningRedis } from './lock.ts'
import { type RedisProcess, RedisStartFailed, type StartOptions, startRedis } from './server.ts'

const run = promisify(execFile)

let path: string
let folder: string
let dir: string
const servers: RedisProcess[] = []
const clients: Redis[] = []

beforeAll(async () => {
  path = (await findRedisServer({ interactive: false })).path
}, 600_000)
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'redis-server-'))
  dir = join(folder, 'data of a test')
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect()
  const stopped = servers.splice(0)
  await Promise.all(stopped.map(server => server.stop(1_000)))
  for (const { pid } of stopped) await ended(pid)
  await rm(folder, { recursive: true, force: true, maxRetries: 10 })
})

async function start(options: Partial<StartOptions> = {}): Promise<RedisProcess> {
  const server = await startRedis({ path, ...options })
  servers.push(server)
  return server
}

function connect({ url }: { url: string }): Redis {
  const client = new Redis(url, { retryStrategy: () => null, maxRetriesPerRequest: 0 })
  client.on('error', () => {})
  clients.push(client)
  return client
}

function failure(options: Partial<StartOptions>): Promise<unknown> {
  return start(options).then(
    ({ url }) => new Error(`started at ${url}`),
    (error: unknown) => error,
  )
}

/** The ids of all processes of a group: a server and its watchdog. Ended ones that wait for init do not count. */
async function processGroup(group: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pgid=,pid=,stat='])
  const rows = stdout.split('\n').map(row => row.trim().split(/\s+/))
  return rows
    .filter(([pgid, , state]) => pgid === String(group) && !state?.startsWith('Z'))
    .map(([, pid]) => Number(pid))
}

/** When neither a server nor its watchdog is left. */
const ended = (pid: number) =>
  vi.waitFor(async () => expect(await processGroup(pid)).toEqual([]), { timeout: 20_000 })

describe('a server', () => {
  test('keeps everything it is told, listens here only, and never evicts', async () => {
    const server = await start()
    const client = connect(server)
    const settings = {
      bind: '127.0.0.1',
      'protected-mode': 'yes',
      appendonly: 'yes',
      appendfsync: 'always',
      'aof-use-rdb-preamble': 'yes',
      save: '',
      'maxmemory-policy': 'noeviction',
      'enable-debug-command': 'no',
      daemonize: 'no',
      dir: server.dir,
    }
    for (const [name, value] of Object.entries(settings)) {
      expect(await client.config('GET', name), name).toEqual([name, value])
    }
    expect(server.url).toBe(`redis://127.0.0.1:${server.port}`)
    expect(await askRedis(server.port)).toMatchObject({
      pid: server.pid,
      version: server.version,
      ready: true,
    })
  })

  test('takes other settings', async () => {
    const logFile = join(folder, 'a.log')
    const client = connect(await start({ appendfsync: 'everysec', args: ['--maxmemory', '100mb'], logFile }))
    expect(await readFile(logFile, 'utf8')).toContain('Ready to accept connections')
    expect(await client.config('GET', 'appendfsync')).toEqual(['appendfsync', 'everysec'])
    expect(await client.config('GET', 'maxmemory')).toEqual(['maxmemory', String(100 * 1024 * 1024)])
  })

  test('without a folder gets one that goes when it stops', async () => {
    const server = await start()
    expect(existsSync(join(server.dir, 'redis.log'))).toBe(true)
    await server.stop()
    expect(await server.exited).toEqual({ code: 0, signal: null })
    expect(existsSync(server.dir)).toBe(false)
    await server.stop()
  })

  test('goes on where it was after a restart in its folder', async () => {
    const first = await start({ dir })
    await connect(first).xadd('stream', '*', 'data', '1')
    await first.stop()
    expect(existsSync(lockFile(first.dir))).toBe(false)
    const second = await start({ dir })
    expect(await connect(second).xlen('stream')).toBe(1)
  })

  test('has every write that it answered, killed in the middle of them', async () => {
    const first = await start({ dir })
    const client = connect(first)
    let answered = 0
    const writing = (async () => {
      for (;;) {
        await Promise.all(Array.from({ length: 10 }, (_, lane) => client.incr(`lane:${lane}`)))
        answered += 1
      }
    })()
    await vi.waitFor(() => expect(answered).toBeGreaterThan(50))
    first.kill('SIGKILL')
    await expect(writing).rejects.toThrow()
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' })

    const again = connect(await start({ dir }))
    for (let lane = 0; lane < 10; lane++) {
      expect(Number(await again.get(`lane:${lane}`))).toBeGreaterThanOrEqual(answered)
    }
  })

  test('several start at the same time, each on a port of its own', async () => {
    const started = await Promise.all(Array.from({ length: 6 }, () => start()))
    expect(new Set(started.map(({ port }) => port)).size).toBe(6)
    await Promise.all(started.map(server => connect(server).set('port', server.port)))
    for (const server of started) expect(await connect(server).get('port')).toBe(String(server.port))
  })

  test('is waited for while it reads its data, however long that takes', async () => {
    const first = await start({ dir })
    const filling = connect(first).pipeline()
    for (let key = 0; key < 2_000; key++) filling.set(`key:${key}`, 'x'.repeat(100))
    await filling.exec()
    await connect(first).bgrewriteaof()
    await vi.waitFor(async () => expect(await connect(first).info()).toContain('aof_rewrite_in_progress:0'))
    await first.stop()

    const log: string[] = []
    // Four seconds of reading, two milliseconds a key, with a look at its sockets every few keys.
    const slow = ['--key-load-delay', '2000', '--loading-process-events-interval-bytes', '1024']
    const second = await start({ dir, deadlineMs: 2_000, args: slow, log: line => log.push(line) })
    expect(log).toEqual(expect.arrayContaining([expect.stringMatching(/^Redis is reading its data: \d+ %$/)]))
    expect(await connect(second).dbsize()).toBe(2_000)
  })

  test('that does not obey is killed', async () => {
    const server = await start({ dir })
    connect(server)
      .eval('while true do end', 0)
      .catch(() => {})
    await vi.waitFor(async () => expect(await askRedis(server.port, 100)).toBeUndefined())
    await server.stop(200)
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' })
  })

  test('that is stopped by a signal continues in order to end', async () => {
    const server = await start({ dir })
    server.kill('SIGSTOP')
    await server.stop()
    expect(await server.exited).toEqual({ code: 0, signal: null })
  })
})

describe('a folder', () => {
  test('holds one live server, which a second start names', async () => {
    const first = await start({ dir })
    const error = await failure({ dir })
    expect(error).toBeInstanceOf(RedisInUse)
    expect(error).toMatchObject({ url: first.url, pid: first.pid, dir: first.dir })
    expect(await connect(first).ping()).toBe('PONG')
  })

  test.each([
    ['no lock', undefined],
    ['the lock of a dead server', JSON.stringify({ pid: 2 ** 22 - 1, port: 6 })],
    ['the lock of a process that is no server', JSON.stringify({ pid: process.pid, port: 6 })],
    ['half a lock', '{"pid":1'],
  ])('with %s goes to exactly one of several starts', async (_, lock) => {
    const { dir: real } = await start({ dir })
    await servers.pop()?.stop()
    if (lock) await writeFile(lockFile(real), lock)
    const results = await Promise.all(
      Array.from({ length: 4 }, () => start({ dir }).catch((error: unknown) => error)),
    )
    const errors = results.filter(result => result instanceof Error)
    expect(errors).toHaveLength(3)
    for (const error of errors) expect(error).toBeInstanceOf(RedisInUse)
    expect(readLock(real)).toEqual({ pid: servers[0]?.pid, port: servers[0]?.port })
    expect(runningRedis(real)).toBe(servers[0]?.url)
    expect(runningRedis(`${real}-not`)).toBeUndefined()
  })

  test('is not taken from a server that is alive but silent', async () => {
    const server = await start({ dir })
    server.kill('SIGSTOP')
    await expect(clearStaleLock(server.dir, 300)).rejects.toBeInstanceOf(RedisInUse)
  })

  test('is waited for while its server is on the way out', async () => {
    const server = await start({ dir })
    server.kill('SIGSTOP')
    const starting = start({ dir })
    server.kill('SIGKILL')
    expect((await starting).pid).not.toBe(server.pid)
  })
})

describe('a start fails, and leaves nothing running, when', () => {
  test('there is no such server', async () => {
    const error = await failure({ path: '/nowhere/redis-server' })
    expect(error).toBeInstanceOf(RedisStartFailed)
    expect(error).toMatchObject({ exit: { code: 127 }, message: expect.stringContaining('not found') })
  })

  test('it is not a server', async () => {
    expect(await failure({ path: '/bin/true' })).toMatchObject({ exit: { code: 0, signal: null } })
  })

  test('the port is taken, even by a Redis that answers in its place', async () => {
    const { port } = await start()
    const error = await failure({ dir, port })
    expect(error).toBeInstanceOf(RedisStartFailed)
    expect(error).toMatchObject({ port, portTaken: true, exit: { code: 1 } })
    expect(existsSync(lockFile(dir))).toBe(false)
  })

  test('a setting is not known: the message has what the server says', async () => {
    const error = await failure({ args: ['--nonsense', '1'] })
    expect(error).toMatchObject({ message: expect.stringMatching(/nonsense/) })
  })

  test('it never answers', async () => {
    const silent = join(folder, 'silent')
    await writeFile(silent, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 })
    expect(await failure({ path: silent, dir, deadlineMs: 300 })).toMatchObject({ exit: undefined })
    expect(existsSync(lockFile(dir))).toBe(false)
  })

  test('the folder cannot be made', async () => {
    await writeFile(dir, 'a file')
    expect(await failure({ dir })).toMatchObject({ code: 'EEXIST' })
  })
})

describe('when the starting process', () => {
  /** A program of its own that starts a server in `dir`, prints it and stays. */
  let program: string

  beforeAll(async () => {
    const built = await mkdtemp(join(tmpdir(), 'redis-parent-'))
    const source = (file: string) => fileURLToPath(new URL(file, import.meta.url))
    const tsc = source('../node_modules/typescript/bin/tsc')
    const options = '--ignoreConfig --target es2023 --module nodenext --types node --skipLibCheck'.split(' ')
    const files = [source('./server.ts')]
    await run(process.execPath, [
      tsc,
      ...options,
      '--rewriteRelativeImportExtensions',
      '--outDir',
      built,
      ...files,
    ])
    await writeFile(join(built, 'package.json'), '{"type":"module"}')
    program = join(built, 'parent.js')
    await writeFile(
      program,
      `import { startRedis } from './server.js'
      const [path, dir] = process.argv.slice(2)
      const { pid, port } = await startRedis({ path, dir })
      process.on('SIGINT', () => console.log('interrupted'))
      process.on('SIGTERM', () => process.exit(0))
      console.log(JSON.stringify({ pid, port }))`,
    )
    return () => rm(built, { recursive: true, force: true })
  })

  async function startParent() {
    const parent = spawn(process.execPath, [program, path, dir], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: parent.stdout })
    const [line] = await once(lines, 'line')
    const server = JSON.parse(line) as { pid: number; port: number }
    expect(await askRedis(server.port)).toMatchObject({ pid: server.pid })
    return { parent, lines, server }
  }

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'dies by %s, the server ends, and its watchdog too',
    async signal => {
      const { parent, server } = await startParent()
      expect(await processGroup(server.pid)).toHaveLength(2)
      parent.kill(signal)
      await ended(server.pid)
      expect(await readFile(join(dir, 'redis.log'), 'utf8')).toContain('User requested shutdown')
      // What it left behind does not hinder the next one.
      await start({ dir })
    },
  )

  test('dies while the server does not obey, the server is killed', async () => {
    const { parent, server } = await startParent()
    connect({ url: `redis://127.0.0.1:${server.port}` })
      .eval('while true do end', 0)
      .catch(() => {})
    await vi.waitFor(async () => expect(await askRedis(server.port, 100)).toBeUndefined())
    parent.kill('SIGKILL')
    await ended(server.pid)
  })

  test('is interrupted on its terminal, the server stays', async () => {
    const { parent, lines, server } = await startParent()
    // What a terminal does at Ctrl-C: a signal to the whole foreground group.
    process.kill(-(parent.pid as number), 'SIGINT')
    expect(await once(lines, 'line')).toEqual(['interrupted'])
    expect(await askRedis(server.port)).toMatchObject({ pid: server.pid })
    parent.kill('SIGKILL')
    await ended(server.pid)
  })
})
