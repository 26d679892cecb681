import { concat, lastValueFrom, of, Subject, toArray } from 'rxjs'
import { expect, test } from 'vitest'
import { type Bench, bench, done, ownRedis, settle, until, useRedis } from '../tests/redis.ts'
import { commit, type Settled } from './commit.ts'
import type { Outcome } from './outcome.ts'

const on = useRedis()

const dead = (entry: string, detail = 'it is bad'): Outcome => ({
  entry,
  kind: 'dead',
  reason: 'poison',
  detail,
  package: 1,
})

/** Entries that are pending for `a`, whose session is open. */
async function pendingFor(b: Bench, count: number) {
  const entries = await b.fill(count)
  const session = await b.open('a')
  await b.receive('a', count)
  return { entries, session }
}

/** The output log: (end, length, bytes) of each chunk. */
async function log(b: Bench, consumer = 'a'): Promise<[number, number, string][]> {
  const chunks = await b.redis.xrange(b.keys.output(consumer), '-', '+')
  return chunks.map(([id, fields]) => {
    const [end, length] = id.split('-').map(Number) as [number, number]
    return [end, length, fields[1] as string]
  })
}
const linesOf = (entries: string[]) => entries.map(entry => `line of ${entry}\n`).join('')
const claim = (b: Bench, by: string, ...entries: string[]) =>
  b.redis.xclaim(b.keys.stream, b.keys.group, by, 0, ...entries)

test('a commit acknowledges its entries and appends their lines, in their order, as one chunk', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 12)
  expect(await settle(session, done(entries.toReversed()))).toEqual({
    done: 12,
    retried: 0,
    dead: 0,
    fenced: 0,
    forwarded: 0,
  })
  const text = linesOf(entries)
  expect(await log(b)).toEqual([[text.length, text.length, text]])
  expect(await b.redis.hget(b.keys.files, 'a')).toBe(String(text.length))
  expect(await b.pending()).toEqual([])
  expect(await b.count('done:a')).toBe(12)
  expect(b.of('committed')).toMatchObject([{ done: 12, dead: 0, fenced: 0, end: text.length }])
})

test('chunks follow each other without a gap, and offsets are bytes, not characters', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 4)
  const texts = ['grüße', '🚚📦', '\ud800 half a pair', 'nul \0 and \r']
  for (const [i, entry] of entries.entries())
    await settle(
      session,
      done([entry], () => texts[i] as string),
    )
  let at = 0
  for (const [i, [end, length, bytes]] of (await log(b)).entries()) {
    const size = Buffer.byteLength(`${texts[i]}\n`)
    expect([end - length, length, Buffer.byteLength(bytes)]).toEqual([at, size, size])
    at = end
  }
  await session.writer?.flush()
  expect(await b.file('a')).toBe(`${texts.join('\n')}\n`.replace('\ud800', '\ufffd'))
})

test('the commit of a session that was ended settles nothing', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 2)
  await b.open('a', {}, session.token)
  await expect(settle(session, done(entries))).rejects.toMatchObject({ code: 'FENCED' })
  expect(await b.pending('a')).toHaveLength(2)
  expect(await log(b)).toEqual([])
  expect(b.of('fenced')).toEqual([{ type: 'fenced', count: 2 }])
  expect(await b.count('fenced')).toBe(2)
})

test('what a peer has claimed is dropped with its line, and the others keep theirs', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 6)
  const stolen = [0, 2, 5].map(i => entries[i] as string)
  const kept = [1, 3, 4].map(i => entries[i] as string)
  await claim(b, 'peer', ...stolen)
  expect(await settle(session, done(entries))).toEqual({
    done: 3,
    retried: 0,
    dead: 0,
    fenced: 3,
    forwarded: 0,
  })
  expect((await log(b)).map(([, , text]) => text)).toEqual([linesOf(kept)])
  expect((await b.pending()).map(([id, owner]) => [id, owner])).toEqual(stolen.map(id => [id, 'peer']))
  expect(await b.count('fenced')).toBe(3)
})

test('lines stay with their entries among fenced, dead and empty ones', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 7)
  const [e0, e1, e2, e3, e4, e5, e6] = entries as [string, string, string, string, string, string, string]
  await claim(b, 'peer', e1, e3, e4)
  const outcomes = [
    ...done([e0, e1]),
    dead(e2),
    dead(e3),
    ...done([e4], () => ''),
    ...done([e5], () => ''),
    ...done([e6]),
  ]
  expect(await settle(session, outcomes)).toEqual({ done: 3, retried: 0, dead: 1, fenced: 3, forwarded: 0 })
  expect((await log(b)).map(([, , text]) => text)).toEqual([`line of ${e0}\n\nline of ${e6}\n`])
  expect((await b.dead()).map(({ entry }) => entry)).toEqual([e2])
})

test('a dead letter that a peer has claimed is counted and reported by nobody but the peer', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 2)
  await claim(b, 'peer', entries[0] as string)
  const settled = await settle(
    session,
    entries.map(entry => dead(entry)),
  )
  expect(settled).toEqual({ done: 0, retried: 0, dead: 1, fenced: 1, forwarded: 0 })
  expect(b.of('committed')).toMatchObject([{ done: 0, dead: 1, fenced: 1 }])
  expect(b.of('dead').map(({ entry }) => entry)).toEqual([entries[1]])
})

test('the same entry twice in one batch is one line', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 2)
  const [one, two] = entries as [string, string]
  expect(await settle(session, done([one, one, two, one]))).toEqual({
    done: 2,
    retried: 0,
    dead: 0,
    fenced: 2,
    forwarded: 0,
  })
  expect((await log(b)).map(([, , text]) => text)).toEqual([linesOf([one, two])])
})

test('the same batch a second time, because its reply was lost, adds nothing', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 3)
  await settle(session, done(entries))
  expect(await settle(session, done(entries))).toEqual({
    done: 0,
    retried: 0,
    dead: 0,
    fenced: 3,
    forwarded: 0,
  })
  expect(await log(b)).toHaveLength(1)
})

test('a batch of every other entry is found among its pending neighbours', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 2500)
  const odd = entries.filter((_, i) => i % 2 === 1)
  expect(await settle(session, done(odd))).toEqual({
    done: 250,
    retried: 0,
    dead: 0,
    fenced: 0,
    forwarded: 0,
  })
  expect(b.of('committed').map(({ done, fenced }) => [done, fenced])).toEqual([
    [1000, 0],
    [250, 0],
  ])
  expect((await b.pending('a')).map(([id]) => id)).toEqual(entries.filter((_, i) => i % 2 === 0))
})

test('a batch that spans more than a thousand pending entries settles its last one', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 3000)
  const ends = [entries[0], entries[2999]] as string[]
  expect(await settle(session, done(ends))).toEqual({ done: 2, retried: 0, dead: 0, fenced: 0, forwarded: 0 })
})

test('a commit takes a thousand entries at most, and a megabyte of lines', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 2100)
  await settle(session, done(entries.slice(0, 2050)))
  expect(b.of('committed').map(event => event.done)).toEqual([1000, 1000, 50])
  const large = 'ü'.repeat(200 * 1024)
  await settle(
    session,
    done(entries.slice(2050), () => large),
  )
  for (const [, length] of (await log(b)).slice(3)) expect(length).toBeLessThanOrEqual(1024 * 1024)
})

test('a line larger than a megabyte is committed alone', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 3)
  await settle(
    session,
    done(entries, entry => (entry === entries[1] ? 'x'.repeat(3 * 1024 * 1024) : 'small')),
  )
  expect(b.of('committed').map(event => event.done)).toEqual([1, 1, 1])
})

test('a dead letter holds the original fields, byte for byte, and why and where it died', async () => {
  const b = await bench(on)
  await b.open('a')
  const bytes = Buffer.from([0xff, 0xfe, 0x00, 0x0a])
  const id = (await b.redis.xadd(
    b.keys.stream,
    '*',
    'data',
    bytes,
    'traceparent',
    'tp',
    'other',
    '',
  )) as string
  await b.receive('a', 1)
  await settle(await b.open('a'), [dead(id, 'it is bad')])
  const [[, fields] = ['', []]] = await b.redis.xrangeBuffer(b.keys.dead, '-', '+')
  const text = fields.map(field => field.toString('latin1'))
  const header = {
    reason: 'poison',
    deliveries: '1',
    detail: 'it is bad',
    entry: id,
    group: b.keys.group,
    consumer: 'a',
    package: '1',
    id,
    attempts: '0',
    replays: '0',
    failures: '[]',
    epoch: (await b.redis.hget(b.keys.head, 'epoch')) as string,
  }
  expect(text).toEqual([
    ...Object.entries(header).flat(),
    'data',
    bytes.toString('latin1'),
    'traceparent',
    'tp',
    'other',
    '',
  ])
  expect(b.of('dead')).toMatchObject([{ entry: id, reason: 'poison', detail: 'it is bad', package: 1 }])
  expect([await b.count('dead'), await b.pending()]).toEqual([1, []])
})

test('an entry that was deleted while in hand can be settled', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 2)
  await b.redis.xdel(b.keys.stream, ...entries)
  expect(await settle(session, [...done(entries.slice(0, 1)), dead(entries[1] as string)])).toEqual({
    done: 1,
    retried: 0,
    dead: 1,
    fenced: 0,
    forwarded: 0,
  })
  expect(await b.dead()).toMatchObject([{ entry: entries[1], reason: 'poison' }])
})

test('a key of the wrong type is refused before the first write', async () => {
  for (const target of ['counts', 'dead', 'files', 'output'] as const) {
    const b = await bench(on)
    const { entries, session } = await pendingFor(b, 2)
    const name = target === 'output' ? b.keys.output('a') : b.keys[target]
    await b.redis.set(name, 'something else')
    await expect(
      settle(session, [...done(entries.slice(0, 1)), dead(entries[1] as string)]),
    ).rejects.toMatchObject({ code: 'WRONGTYPE' })
    expect(await b.pending('a')).toHaveLength(2)
    expect(await b.redis.get(name)).toBe('something else')
    const others = [b.keys.dead, b.keys.files, b.keys.output('a')].filter(key => key !== name)
    expect(await b.redis.exists(...others)).toBe(0)
  }
})

test('an output log that is further than the length says refuses the commit, and nothing is settled', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 1)
  await b.redis.xadd(b.keys.output('a'), '999-999', 'lines', 'x')
  await expect(settle(session, done(entries))).rejects.toThrow('equal or smaller')
  expect(await b.pending('a')).toHaveLength(1)
  expect(await b.redis.hget(b.keys.files, 'a')).toBeNull()
})

test('a full Redis takes commits, because they make room', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const { entries, session } = await pendingFor(b, 2)
  await redis.config('SET', 'maxmemory', '1mb')
  expect(await settle(session, [...done(entries.slice(0, 1)), dead(entries[1] as string)])).toMatchObject({
    done: 1,
    dead: 1,
  })
  await session.writer?.flush()
  expect(await b.file('a')).toBe(linesOf(entries.slice(0, 1)))
})

test('what arrives while a commit is under way goes into the next one', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 5)
  const source = new Subject<Outcome[]>()
  const settled: Settled[] = []
  let completed = false
  source
    .pipe(commit(session))
    .subscribe({ next: one => settled.push(one), complete: () => (completed = true) })
  for (const entry of entries.toReversed()) source.next(done([entry]))
  source.complete()
  await until(() => completed, 'the last commit')
  expect(settled.map(one => one.done)).toEqual([1, 4])
  expect((await log(b)).map(([, , text]) => text)).toEqual([
    linesOf([entries[4] as string]),
    linesOf(entries.slice(0, 4)),
  ])
})

test('what is settled is no longer held', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 3)
  for (const entry of entries) session.held.add(entry, 10)
  const free = session.held.until(() => session.held.size === 1)
  await lastValueFrom(
    concat(of(done(entries.slice(0, 1))), of(done(entries.slice(1, 2)))).pipe(commit(session), toArray()),
  )
  await free
  expect(session.held.has(entries[2] as string)).toBe(true)
})

test('two consumers who both have an entry in hand put it into one file', async () => {
  const b = await bench(on)
  const { entries, session } = await pendingFor(b, 10)
  const peer = await b.open('b')
  await claim(b, 'b', ...entries.slice(3))
  const both = await Promise.all([settle(session, done(entries)), settle(peer, done(entries))])
  expect(both.map(one => one.done)).toEqual([3, 7])
  const written = [...(await log(b, 'a')), ...(await log(b, 'b'))].map(([, , text]) => text).join('')
  expect(written.split('\n').filter(Boolean).sort()).toEqual(entries.map(entry => `line of ${entry}`).sort())
})

test('large messages that are to be moved are settled in several commits', async () => {
  const b = await bench(on)
  const entries = await b.fill(30, 'x'.repeat(200_000))
  const session = await b.open('a')
  await b.receive('a', 30)
  for (const entry of entries) session.held.add(entry, 200_000)
  const outcomes = entries.map(entry => dead(entry, 'y'.repeat(1000)))
  await lastValueFrom(of(outcomes).pipe(commit(session)))
  expect(await b.count('dead')).toBe(30)
  expect(Math.max(...b.of('committed').map(event => event.dead))).toBe(5) // 1 MB
})
