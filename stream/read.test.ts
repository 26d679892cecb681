import { delay, from, merge, mergeMap, of } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, done, settle, until, useRedis } from '../tests/redis.ts'
import { beat } from './beat.ts'
import { commit } from './commit.ts'
import { handle } from './handle.ts'
import { type Message, Poison } from './message.ts'
import type { Outcome } from './outcome.ts'
import { type Delivery, read } from './read.ts'
import type { Session } from './session.ts'

const on = useRedis()

/** What a session has been given so far. The test settles it. */
function reading(session: Session) {
  const batches: Delivery[][] = []
  const state = {
    batches,
    completed: false,
    error: undefined as unknown,
    ids: () => batches.flat().map(one => one.entry),
  }
  const subscription = read(session).subscribe({
    next: batch => batches.push(batch),
    complete: () => (state.completed = true),
    error: error => (state.error = error),
  })
  onTestFinished(() => subscription.unsubscribe())
  return state
}
const pendingIds = async (b: Bench) => (await b.pending()).map(([id]) => id)
const deadAll = (found: Delivery[]): Outcome[] =>
  found.map(({ entry, message }) => ({
    entry,
    kind: 'dead',
    reason: message instanceof Poison ? message.reason : '',
    detail: '',
  }))

test('new entries arrive in order, decoded, as their first delivery', async () => {
  const b = await bench(on)
  const entries = await b.fill(3)
  const found = reading(await b.open('a'))
  await until(() => found.ids().length === 3, 'three entries')
  expect(found.ids()).toEqual(entries)
  expect(found.batches.flat().map(({ message }) => message)).toMatchObject(
    [1, 2, 3].map(n => ({ package: n, deliveries: 1 })),
  )
  expect(b.of('delivered')).toMatchObject([{ count: 3, again: false }])
})

test('reading is pulled: no more is received than may be held, until something is settled', async () => {
  const b = await bench(on)
  await b.fill(100)
  const session = await b.open('a', { maxHeld: 10 })
  const found = reading(session)
  await until(() => found.ids().length === 10, 'ten entries')
  const state = async () => (await b.pending()).length
  const pause = performance.now() + 200
  await until(() => performance.now() > pause, 'time for reads that must not come')
  expect([found.ids().length, await state()]).toEqual([10, 10])
  await settle(session, done(found.ids().slice(0, 4)))
  await until(() => found.ids().length === 14, 'four more')
  expect(await state()).toBe(10)
})

test('entries of a megabyte are held up to the bytes allowed, and at least one', async () => {
  const b = await bench(on)
  for (let i = 0; i < 40; i++) await b.fill(1, 'x'.repeat(1024 * 1024))
  const most = 3 * 1024 * 1024
  const session = await b.open('a', { maxHeldBytes: most })
  const found = reading(session)
  let settled = 0
  while (settled < 40) {
    await until(() => found.ids().length > settled, 'more entries')
    const now = found.ids()
    await settle(session, done(now.slice(settled)))
    settled = now.length
  }
  // Before the first of them came, their size was not known.
  for (const { bytes } of b.of('delivered').slice(1))
    expect(bytes).toBeLessThanOrEqual(most + 1024 * 1024 + 100)
})

test('when small entries are followed by large ones, one read may exceed the bytes allowed, and no more', async () => {
  const b = await bench(on)
  await b.fill(3000)
  await b.fill(100, 'x'.repeat(1024 * 1024))
  const most = 4 * 1024 * 1024
  const session = await b.open('a', { maxHeldBytes: most, batch: 50 })
  const run = read(session)
    .pipe(
      handle(() => {}, { consumer: 'a', concurrency: 1, timeout: 0, signal: session.lost.signal }),
      commit(session),
    )
    .subscribe()
  onTestFinished(() => run.unsubscribe())
  await until(async () => (await b.count('done:a')) === 3100, 'all are done')
  const [largest, second] = b
    .of('delivered')
    .map(({ bytes }) => bytes)
    .sort((x, y) => y - x)
  expect(largest).toBeLessThanOrEqual(51 * 1024 * 1024)
  expect(second).toBeLessThanOrEqual(most + 1024 * 1024 + 100)
})

test('what is pending for the consumer from before is read again, with its deliveries counted', async () => {
  const b = await bench(on)
  const entries = await b.fill(3)
  await b.open('a')
  await b.receive('a', 3)
  const found = reading(await b.open('a'))
  await until(() => found.ids().length === 3, 'the three again')
  expect(found.batches.flat().map(({ message }) => message)).toMatchObject(
    entries.map(entry => ({ entry, deliveries: 2 })),
  )
  expect((await b.pending()).map(([, , deliveries]) => deliveries)).toEqual([2, 2, 2])
  expect(b.of('delivered')).toMatchObject([{ count: 3, again: true }])
})

test('pending entries that were never received are found while new ones arrive, and nothing twice', async () => {
  const b = await bench(on)
  await b.fill(10)
  const session = await b.open('a')
  const found = reading(session)
  const beating = beat(session).subscribe()
  onTestFinished(() => beating.unsubscribe())
  await until(() => found.ids().length === 10, 'the first ten')
  await b.redis.client('PAUSE', '50', 'WRITE') // so that the test's own read comes before that of the consumer
  const lost = b.fill(5).then(() => b.receive('a', 5))
  await lost
  await until(() => found.ids().length >= 15, 'those whose reply was lost')
  expect(new Set(found.ids()).size).toBe(found.ids().length)
  expect(found.ids().toSorted()).toEqual((await pendingIds(b)).toSorted())
})

test('entries delivered twice before come one at a time, each after the last was settled', async () => {
  const b = await bench(on)
  const entries = await b.fill(4)
  await b.open('a')
  await b.receive('a', 4)
  const { stream, group } = b.keys
  for (const id of entries) await b.redis.xclaim(stream, group, 'a', 0, id, 'RETRYCOUNT', 2, 'JUSTID')
  const session = await b.open('a')
  const found = reading(session)
  for (let i = 0; i < 4; i++) {
    await until(() => found.batches.length > i, `batch ${i}`)
    const pause = performance.now() + 30
    await until(() => performance.now() > pause, 'time for a delivery that must not come')
    expect(found.ids()).toEqual(entries.slice(0, i + 1))
    // Nobody else's count has moved.
    expect((await b.pending()).map(([, , count]) => count)).toEqual([3, ...Array(3 - i).fill(2)])
    await settle(session, done([entries[i] as string]))
  }
})

test('an entry that was delivered too often is handed to nobody', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  await b.open('a')
  await b.receive('a', 2)
  const { stream, group } = b.keys
  await b.redis.xclaim(stream, group, 'a', 0, entries[0] as string, 'RETRYCOUNT', 5, 'JUSTID')
  await b.redis.xclaim(stream, group, 'a', 0, entries[1] as string, 'RETRYCOUNT', 4, 'JUSTID')
  const session = await b.open('a')
  const found = reading(session)
  await until(() => found.ids().length === 1, 'the first')
  expect(found.batches[0]?.[0]?.message).toMatchObject({ reason: 'too many deliveries' })
  await settle(session, deadAll(found.batches.flat()))
  await until(() => found.ids().length === 2, 'the second')
  expect(found.batches[1]?.[0]?.message).toMatchObject({ package: 2, deliveries: 5 })
})

test('restarts for other reasons make nothing pending an entry that kills', async () => {
  const b = await bench(on)
  await b.fill(3)
  await b.open('a')
  await b.receive('a', 3)
  for (let restart = 0; restart < 8; restart++) {
    const session = await b.open('a')
    const found = reading(session)
    await until(() => found.ids().length > 0, 'something is in hand')
    session.dispose()
  }
  // Only what was in hand is counted: after the first restart that is one entry at a time.
  const deliveries = (await b.pending()).map(([, , count]) => count)
  expect(deliveries[0]).toBeGreaterThanOrEqual(5)
  expect(deliveries.slice(1)).toEqual([2, 2])
})

test('pending entries have their turn although new ones never end', async () => {
  const b = await bench(on)
  await b.fill(6000)
  const session = await b.open('a', { maxHeld: 320, batch: 100 })
  const order: string[] = []
  const run = read(session)
    .pipe(
      mergeMap(batch => from(batch)),
      mergeMap(one => of(one).pipe(delay(1)), 16),
      mergeMap(({ entry }) => {
        order.push(entry)
        return of(done([entry]))
      }),
      commit(session),
    )
    .subscribe()
  onTestFinished(() => run.unsubscribe())
  await until(() => order.length > 500, 'the work is under way')
  const lost = await b.receive('a', 300)
  session.recover()
  const asked = order.length
  await until(() => order.length === 6000, 'all are handled')
  expect(Math.max(...lost.map(entry => order.indexOf(entry)))).toBeLessThan(asked + 2000)
})

test('an entry whose reply is on its way is not taken for one that was lost', async () => {
  const b = await bench(on)
  const entries = await b.fill(10)
  const session = await b.open('a')
  const { reader } = session
  const xreadgroup = reader.xreadgroup.bind(reader) as (...args: unknown[]) => Promise<unknown>
  // A large reply on a slow network takes longer than two beats.
  const slow = async (...args: unknown[]) => {
    const reply = await xreadgroup(...args)
    if (reply) await b.redis.blpop('nothing', 0.2)
    return reply
  }
  Object.assign(reader, { xreadgroup: slow })
  const handled: string[] = []
  const deliveries: number[] = []
  const handler = (message: Message) => {
    handled.push(message.entry)
    deliveries.push(message.deliveries)
  }
  const options = { consumer: 'a', concurrency: 1, timeout: 0, signal: session.lost.signal }
  const run = merge(beat(session), read(session).pipe(handle(handler, options), commit(session))).subscribe()
  onTestFinished(() => run.unsubscribe())
  await until(async () => (await b.count('done:a')) === 10 && session.held.size === 0, 'all are done')
  const late = await b.fill(1)
  await until(async () => (await b.count('done:a')) === 11 && session.held.size === 0, 'a later one is done')
  expect(handled).toEqual([...entries, ...late])
  expect(new Set(deliveries)).toEqual(new Set([1]))
  expect(b.of('committed').every(({ fenced }) => fenced === 0)).toBe(true)
})

test('pending entries wait for the disk as new ones do', async () => {
  const b = await bench(on)
  await b.fill(20)
  await b.open('a')
  await b.receive('a', 20)
  const session = await b.open('a', { maxUnflushed: 100 })
  session.committed = 1000
  const found = reading(session)
  const pause = performance.now() + 100
  await until(() => performance.now() > pause, 'time for a delivery that must not come')
  expect(found.ids()).toEqual([])
  session.committed = 0
  session.held.changed()
  await until(() => found.ids().length === 20, 'all')
})

test('large pending entries are held up to the bytes allowed', async () => {
  const b = await bench(on)
  for (let i = 0; i < 12; i++) await b.fill(1, 'x'.repeat(1024 * 1024))
  await b.open('a')
  await b.receive('a', 12)
  const session = await b.open('a', { maxHeldBytes: 2 * 1024 * 1024 })
  const found = reading(session)
  await until(() => found.ids().length > 0, 'the first')
  expect(found.ids().length).toBeLessThanOrEqual(3)
})

test('whatever an entry holds, reading goes on, and poison can be settled', async () => {
  const b = await bench(on)
  await b.fill(1)
  const deep = `{"timestamp_producer":1,"payload":{"package":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`
  const variants: (string | Buffer)[][] = [
    ['other', 'field'],
    ['', ''],
    ['data', ''],
    ['data', Buffer.from([0xff, 0xfe, 0x7b])],
    ['data', '{"timestamp_producer":1,"payload":{"package":-4}}'],
    ['data', '{"timestamp_producer":1,"payload":{"package":1.5}}'],
    ['data', '{"timestamp_producer":1,"payload":{"package":1e400}}'],
    ['data', '{"timestamp_producer":1,"payload":{"__proto__":{"package":1}}}'],
    ['data', 'null'],
    ['data', deep],
  ]
  for (const fields of variants) await b.redis.xadd(b.keys.stream, '*', ...(fields as string[]))
  await b.fill(1)
  const session = await b.open('a')
  const found = reading(session)
  await until(() => found.ids().length === variants.length + 2 || found.error, 'all of them')
  expect(found.error).toBeUndefined()
  const poison = found.batches.flat().filter(({ message }) => message instanceof Poison)
  expect(poison).toHaveLength(variants.length)
  await settle(session, deadAll(poison))
  expect(await b.dead()).toHaveLength(variants.length)
})

test("an entry of one's own whose body was deleted goes to the dead letters and is counted as lost", async () => {
  const b = await bench(on)
  const entries = await b.fill(3)
  await b.open('a')
  await b.receive('a', 3)
  await b.redis.xdel(b.keys.stream, entries[1] as string)
  const found = reading(await b.open('a'))
  await until(() => found.ids().length === 2, 'the others')
  expect(found.ids()).toEqual([entries[0], entries[2]])
  expect(await b.dead()).toEqual([
    {
      reason: 'payload missing',
      entry: entries[1],
      group: b.keys.group,
      consumer: 'a',
      deliveries: '1',
      epoch: '',
    },
  ])
  expect(await b.count('lost')).toBe(1)
  expect(b.of('dead')).toMatchObject([{ entry: entries[1], reason: 'payload missing' }])
})

test('stopping ends the reading, and what was received by then is given', async () => {
  const b = await bench(on)
  await b.fill(3)
  const found = reading(await b.open('a'))
  await until(() => found.ids().length === 3, 'three entries')
  b.stop.abort()
  await until(() => found.completed, 'completion')
  expect(found.ids()).toEqual(await pendingIds(b))
})

test('a stream that is gone, or a connection that is cut, errors at once', async () => {
  const b = await bench(on)
  await b.fill(1)
  const gone = reading(await b.open('a'))
  await until(() => gone.ids().length === 1, 'the entry')
  await b.redis.del(b.keys.stream)
  await until(() => gone.error, 'an error')
  expect(gone.error).toMatchObject({ code: expect.stringMatching(/UNBLOCKED|NOGROUP/) })

  const c = await bench(on)
  const session = await c.open('a')
  const cut = reading(session)
  await c.redis.client('KILL', 'ID', await session.redis.client('ID'))
  await c.redis.client(
    'KILL',
    'ADDR',
    `${session.reader.stream.localAddress}:${session.reader.stream.localPort}`,
  )
  await until(() => cut.error, 'an error')
  expect(cut.error).toMatchObject({ name: 'ConnectionLost' })
})
