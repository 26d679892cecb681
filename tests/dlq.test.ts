import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { decode, returnedOf } from '../stream/message.ts'
import type { Session } from '../stream/session.ts'
import { bury, type Death, dieAgain, dlq, letterIds, returned, start } from './letters.ts'
import { type Bench, bench, tempDir, until, useRedis } from './redis.ts'

vi.setConfig({ testTimeout: 120_000 })

const on = useRedis()
let b: Bench
let session: Session

beforeEach(async () => {
  b = await bench(on)
  session = await b.open('c1')
})

/** Packages 1 to 6, of three reasons. */
async function mixed(): Promise<string[]> {
  const deaths: Death[] = [
    { detail: 'Error: connect ECONNREFUSED' },
    { detail: 'TypeError: x is undefined' },
    { reason: 'handler timeout', detail: 'no outcome within 100 ms' },
    { reason: 'rejected', detail: 'not wanted', replays: 2 },
    { detail: 'Error: CONNECT ETIMEDOUT', replays: 3 },
    { reason: 'handler timeout', detail: 'no outcome within 100 ms', replays: 4 },
  ]
  for (const death of deaths) await bury(b, session, 1, death)
  return letterIds(b)
}

interface Listed {
  stream: string
  group: string
  total: number
  letters: { id: string; package: number; quarantined: boolean }[]
}

async function listed(...args: string[]): Promise<Listed> {
  const { code, stdout, stderr } = await dlq(b, ['list', '--json', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

const packages = ({ letters }: Listed) => letters.map(({ package: number }) => number)

test('list: filters, limit, quarantine', async () => {
  const ids = await mixed()
  const all = await listed()
  expect(all).toMatchObject({ stream: b.keys.stream, group: 'workers', total: 6 })
  expect(all.letters.map(({ id }) => id)).toEqual(ids)
  expect(all.letters.filter(({ quarantined }) => quarantined).map(one => one.package)).toEqual([5, 6])
  expect(packages(await listed('--reason', 'Handler Timeout'))).toEqual([3, 6])
  expect(packages(await listed('--reason', 'rejected', '--reason', 'handler timeout'))).toEqual([3, 4, 6])
  expect(packages(await listed('--error', 'connect'))).toEqual([1, 5])
  expect(packages(await listed('--packages', '2-4'))).toEqual([2, 3, 4])
  expect(packages(await listed('--min-replays', '3'))).toEqual([5, 6])
  expect(packages(await listed('--min-age', '1h'))).toEqual([])
  expect(packages(await listed('--max-age', '1h', '--packages', '6'))).toEqual([6])
  expect(await listed('--limit', '2')).toMatchObject({ total: 6, letters: [{ package: 1 }, { package: 2 }] })

  const { stdout, stderr } = await dlq(b, ['list', '--limit', '5'])
  expect(stdout.trimEnd().split('\n')).toHaveLength(6)
  expect(stdout).toMatch(
    new RegExp(`^${ids[4]} +\\d+s +5 +handler failed +1 +3, quarantined +c1 +Error: CON`, 'm'),
  )
  expect(stderr).toBe('1 more: --limit shows them\n1 in quarantine (replayed 3 times or more)\n')
  expect((await dlq(b, ['list', '--reason', 'nonsense'])).stderr).toBe(
    'no dead letter of group workers matches; those that there are: handler failed (3), handler timeout (2), rejected (1)\n',
  )
})

test('min and max age go by the time of death', async () => {
  const { keys, redis } = b
  const now = Date.now()
  for (const [index, hours] of [50, 10, 2].entries()) {
    const letter = [
      'reason',
      'rejected',
      'group',
      'workers',
      'package',
      index + 1,
      'epoch',
      'e',
      'data',
      '{}',
    ]
    await redis.xadd(keys.dead, `${now - hours * 3600_000}-1`, ...letter)
  }
  await bury(b, session, 1)
  expect(packages(await listed('--min-age', '9h'))).toEqual([1, 2])
  expect(packages(await listed('--max-age', '1d'))).toEqual([2, 3, 1])
  expect(packages(await listed('--min-age', '90m', '--max-age', '0.5d'))).toEqual([2, 3])
})

test('what a terminal could act on does not get there', async () => {
  const wild = '\u001b[2J\u0007\u202e\n\r\u009b1m'
  const [id = ''] = await bury(b, session, 1, { reason: `bad${wild}`, detail: wild, stack: `at ${wild}` })
  await b.redis.xadd(
    b.keys.dead,
    '*',
    'reason',
    wild,
    'group',
    'workers',
    'failures',
    '[null,7]',
    'epoch',
    '',
    wild,
    wild,
  )
  for (const args of [['list'], ['list', '--json'], ['show', id], ['show', id, '--json'], ['export']]) {
    const { code, stdout } = await dlq(b, args)
    expect(code).toBe(0)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  }
  const other = (await letterIds(b))[1] as string
  expect((await dlq(b, ['show', other])).stdout).toContain('\\u{1b}[2J')
})

test('show: everything about one letter', async () => {
  const [id = ''] = await bury(b, session, 1, { stack: 'Error: no such thing\n    at line 1' }, 'hello')
  const { stdout } = await dlq(b, ['show', id, '--jaeger-url', 'http://jaeger:1/'])
  expect(stdout).toContain(
    `Dead letter ${id}\n  reason    handler failed\n  detail    Error: no such thing\n`,
  )
  expect(stdout).toContain('Payload\n  {\n    "package": 1,\n    "text": "hello"\n  }\n')
  expect(stdout).toContain('Stack\n  Error: no such thing\n      at line 1')
  expect(stdout).toMatch(/Failed attempts\n {2}1 \S+ \S+ UTC c1 handler failed: Error: no such thing/)
  expect(stdout).not.toContain('jaeger')

  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const traced = await b.redis.xadd(
    b.keys.dead,
    ...['*', 'reason', 'x', 'group', 'others', 'epoch', 'e', 'data', '{}', 'traceparent', traceparent],
  )
  const url = 'http://jaeger:1/trace/0af7651916cd43dd8448eb211c80319c'
  expect((await dlq(b, ['show', `${traced}`, '--jaeger-url', 'http://jaeger:1/'])).stdout).toContain(url)
  const { stdout: json } = await dlq(b, ['show', `${traced}`, '--json'])
  expect(JSON.parse(json)).toMatchObject({ id: traced, group: 'others', stack: null, package: null })

  const { code, stderr } = await dlq(b, ['show', '1-1'])
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'conveyor: there is no dead letter 1-1: it was replayed or purged, or never was\n',
  })
})

test('replay: one, some, all; the message keeps its past', async () => {
  const ids = await bury(b, session, 6)
  expect(await dlq(b, ['replay', ids[2] as string, '--yes'])).toMatchObject({
    code: 0,
    stdout: 'replayed 1 dead letter\n',
  })
  expect(await returned(b)).toEqual([3])
  const dry = await dlq(b, ['replay', '--all', '--dry-run', '--packages', '1-4'])
  expect(dry).toMatchObject({ code: 0, stderr: '' })
  expect(dry.stdout).toBe(
    `3 dead letters would return to ${b.keys.stream} for group workers:\n  3  handler failed\n`,
  )
  expect(await letterIds(b)).toHaveLength(5)
  const some = await dlq(b, ['replay', '--all', '--max', '2', '--yes', '--json'])
  expect(JSON.parse(some.stdout)).toEqual({
    action: 'replay',
    dryRun: false,
    interrupted: false,
    matched: 5,
    chosen: 2,
    done: 2,
    gone: 0,
    quarantined: 0,
    reasons: { 'handler failed': 2 },
    refused: [],
  })
  expect((await dlq(b, ['replay', '--all', '--yes'])).stdout).toBe('replayed 3 dead letters\n')
  expect(await returned(b)).toEqual([3, 1, 2, 4, 5, 6])
  expect(await letterIds(b)).toEqual([])
  expect(await b.count('replayed')).toBe(6)

  const [entry] = await b.redis.xrevrange(b.keys.stream, '+', '-', 'COUNT', 1)
  const past = returnedOf((entry as [string, string[]])[1])
  expect(past).toMatchObject({
    group: 'workers',
    attempt: 1,
    replays: 1,
    failures: [{ attempt: 1, consumer: 'c1' }],
  })
})

test('without a terminal, --yes is demanded, and it must be clear what is meant', async () => {
  const [id = ''] = await bury(b, session, 1)
  const WRONG: [args: string[], said: RegExp][] = [
    [['replay', '--all'], /--yes/],
    [['replay', id], /--yes/],
    [['purge', '--all'], /--yes/],
    [['replay', '--yes'], /ids, or --all/],
    [['replay', '--reason', 'x', '--yes'], /--all/],
    [['replay', id, '--all', '--yes'], /one is allowed/],
    [['replay', 'nonsense', '--yes'], /nonsense/],
    [['replay', '18446744073709551616-0', '--yes'], /18446744073709551616/],
    [['replay', '--all', '--rate', '0', '--yes'], /--rate/],
    [['list', '--max-age', '5'], /--max-age.*5/],
    [['list', '--packages', '9-1'], /--packages.*9-1/],
    [['edit', id], /--payload/],
    [['edit', id, '--payload', '{"type":'], /--payload.*JSON/],
    [['edit', id, '--payload', '[1]'], /object/],
    [['edit', id, '--payload', '{"package":2}'], /payload\.package is 2/],
    [['edit', id, '--file', '/no/such/file'], /such\/file/],
    [['edit', id, '--file', '-', '--payload', '{}'], /one is allowed/],
    [['show', id, '--jaeger-url', 'jaeger'], /--jaeger-url/],
  ]
  const all = await Promise.all(WRONG.map(([args]) => dlq(b, args)))
  for (const [index, { code, stdout, stderr }] of all.entries()) {
    expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch((WRONG[index] as (typeof WRONG)[number])[1])
    expect(stderr.trim().split('\n'), stderr).toHaveLength(1)
  }
  const { code, stderr } = await dlq(b, ['list', '--resaon', 'x'])
  expect(code).toBe(2)
  expect(stderr).toMatch(/unknown option '--resaon'\s+\(Did you mean --reason\?\)/)
  expect(await letterIds(b)).toEqual([id])
  expect((await dlq(b, ['list'], 'redis://127.0.0.1:1')).code).toBe(3)
})

test('letters that were replayed often are in quarantine, unless --max-replays says otherwise', async () => {
  const ids = await mixed()
  const { code, stdout, stderr } = await dlq(b, ['replay', '--all', '--yes'])
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'replayed 4 dead letters\n' })
  expect(stderr).toContain('2 dead letters in quarantine will stay: replayed 3 times or more already')
  expect(await letterIds(b)).toEqual(ids.slice(4))
  const one = await dlq(b, ['replay', ids[5] as string, '--yes'])
  expect(one).toMatchObject({ code: 1, stdout: '' })
  expect(one.stderr).toBe(
    `conveyor: dead letter ${ids[5]} is in quarantine, replayed 4 times already: --max-replays 5 replays it anyway\n`,
  )
  expect(await dlq(b, ['replay', ids[5] as string, '--yes', '--max-replays', '5'])).toMatchObject({ code: 0 })
  expect(await letterIds(b)).toEqual([ids[4]])
})

test('letters of other groups, unknown ones and those of an earlier run are left alone', async () => {
  const { keys, redis } = b
  const data = '{"timestamp_producer":1,"payload":{"package":7}}'
  const of = (group: string, epoch: string) =>
    redis.xadd(
      keys.dead,
      '*',
      'reason',
      'rejected',
      'group',
      group,
      'package',
      7,
      'epoch',
      epoch,
      'data',
      data,
    )
  const other = `${await of('others', session.epoch)}`
  const old = `${await of('workers', '20200101T000000Z-abcdef')}`
  const empty = `${await redis.xadd(keys.dead, '*', 'reason', 'payload missing', 'group', 'workers', 'epoch', '')}`
  const [, , , good = ''] = await bury(b, session, 1)
  expect((await listed()).letters.map(({ id }) => id)).toEqual([old, empty, good])

  const named = await dlq(b, ['replay', other, old, empty, '1-1', good, '--yes'])
  expect(named).toMatchObject({ code: 1, stdout: 'replayed 1 dead letter\n' })
  expect(named.stderr).toContain(`${other} is of another group: --group others`)
  expect(named.stderr).toContain(`${old}: it belongs to the earlier run 20200101T000000Z-abcdef`)
  expect(named.stderr).toContain(`${empty}: its payload is missing`)
  expect(named.stderr).toContain('there is no dead letter 1-1')
  expect(await returned(b)).toEqual([1])

  const all = await dlq(b, ['replay', '--all', '--yes'])
  expect(all).toMatchObject({ code: 1, stdout: '' })
  expect(all.stderr).toMatch(/^1 dead letter cannot be replayed: it belongs to the earlier run/m)
  expect((await dlq(b, ['edit', old, '--payload', '{}'])).code).toBe(1)
  expect((await dlq(b, ['edit', other, '--payload', '{}'])).code).toBe(1)

  expect((await dlq(b, ['purge', other, '--yes'])).code).toBe(1)
  expect((await dlq(b, ['purge', '--all', '--yes'])).stdout).toBe('purged 2 dead letters\n')
  expect(await letterIds(b)).toEqual([other])
  expect(await b.count('letters:rejected'), 'the letter of another run was never counted in this one').toBe(0)
})

test('edit: another payload under the same number', async () => {
  const [first = '', second = '', third = ''] = await bury(b, session, 3, { replays: 7 })
  expect((await dlq(b, ['edit', first, '--payload', '{"type":"success"}'])).code).toBe(0)
  const file = join(await tempDir(), 'payload.json')
  await writeFile(file, '{"package":2,"type":"file"}\n')
  expect((await dlq(b, ['edit', second, '--file', file])).code).toBe(0)
  expect((await dlq(b, ['edit', third, '--file', '-'], b.url, '{"type":"input"}')).code).toBe(0)
  expect((await dlq(b, ['edit', third, '--payload', '{}'])).code).toBe(1)
  const entries = (await b.redis.xrange(b.keys.stream, '-', '+')).slice(3)
  expect(entries.map(([id, fields]) => decode(id, fields, 1))).toMatchObject([
    { package: 1, timestamp: 1753553379, payload: { package: 1, type: 'success' }, replays: 8 },
    { package: 2, payload: { type: 'file' } },
    { package: 3, payload: { type: 'input' } },
  ])
})

test('purge: by id, by filter; nothing else is touched', async () => {
  const ids = await mixed()
  const dry = await dlq(b, ['purge', '--all', '--dry-run'])
  expect(dry.stdout).toBe(
    '6 dead letters would be deleted for good:\n  3  handler failed\n  2  handler timeout\n  1  rejected\n',
  )
  expect((await dlq(b, ['purge', ids[0] as string, '--yes'])).stdout).toBe('purged 1 dead letter\n')
  expect((await dlq(b, ['purge', '--all', '--min-replays', '3', '--yes'])).stdout).toBe(
    'purged 2 dead letters\n',
  )
  expect(await letterIds(b)).toEqual(ids.slice(1, 4))
  expect(await b.count('purged')).toBe(3)
  expect(await b.count('letters:handler timeout')).toBe(1)
  expect(await returned(b)).toEqual([])
})

test('export: a line each; a reader that leaves is no failure', async () => {
  const ids = await bury(b, session, 1000, {}, 'x'.repeat(500))
  const { code, stdout } = await dlq(b, ['export'])
  expect(code).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  expect(lines.map(line => JSON.parse(line).id)).toEqual(ids)
  const { child, ended } = start(b, ['export'])
  child.stdout?.once('data', () => child.stdout?.destroy())
  expect(await ended).toMatchObject({ code: 0, stderr: '' })
})

test('letters that die again while a replay runs are not replayed again by it', async () => {
  await bury(b, session, 60)
  const { child, ended } = start(b, ['replay', '--all', '--yes', '--rate', '100'])
  let died = 0
  while (child.exitCode === null) died += await dieAgain(b, session, 10)
  expect(await ended).toMatchObject({ code: 0, stdout: 'replayed 60 dead letters\n' })
  died += await dieAgain(b, session, 100)
  expect(died).toBe(60)
  const letters = await b.dead()
  expect(letters).toHaveLength(60)
  expect(new Set(letters.map(({ replays }) => replays))).toEqual(new Set(['1']))
})

test('an interrupt ends a replay between two letters, and the next goes on', async () => {
  await bury(b, session, 50)
  const { child, ended } = start(b, ['replay', '--all', '--yes', '--rate', '50'])
  await until(async () => (await returned(b)).length >= 5, 'some are replayed')
  child.kill('SIGINT')
  const { code, stdout } = await ended
  expect(code).toBe(1)
  const done = await returned(b)
  expect(stdout).toBe(`replayed ${done.length} of 50 dead letters, interrupted: run it again to go on\n`)
  expect((await dlq(b, ['replay', '--all', '--yes'])).stdout).toBe(
    `replayed ${50 - done.length} dead letters\n`,
  )
  expect((await returned(b)).sort((x, y) => x - y)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
})

test('every sub-command has help with examples', async () => {
  const names = ['list', 'show', 'replay', 'edit', 'purge', 'export', 'watch']
  for (const { code, stdout } of await Promise.all(names.map(name => dlq(b, [name, '--help'])))) {
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Examples:\n {2}\S/m)
  }
})
