import { startProxy } from '@conveyor/chaos'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, ownRedis, useRedis } from '../tests/redis.ts'
import { OutcomeUnknown } from './append.ts'
import { forget } from './forget.ts'
import { openStream } from './open.ts'
import { Script } from './scripts.ts'
import { SOURCE_CALL, SourceCursor, type SourceOptions, type SourceRow, sourcePositions } from './source.ts'

const on = useRedis()

function open(b: Bench, source = 's', more: Partial<SourceOptions> = {}): SourceCursor {
  const { url, keys, groups, events } = b
  const cursor = new SourceCursor({ url, keys, groups, events, source, ...more })
  onTestFinished(() => cursor.close())
  return cursor
}

/** Rows whose bodies are their ids. */
const rows = (...ids: number[]): SourceRow[] => ids.map(id => ({ id: String(id), body: String(id) }))
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

const payloads = async (b: Bench) =>
  (await b.redis.xrange(b.keys.stream, '-', '+')).map(([, fields]) => JSON.parse(fields[1] as string).payload)
const bodies = async (b: Bench) => (await payloads(b)).map(({ body }) => body)

test('rows get numbers, and the position is the last of them', async () => {
  const b = await bench(on)
  await b.fill(2)
  const cursor = open(b)
  const start = await cursor.position()
  expect(start).toMatchObject({ last: '0', count: 0 })
  const big = '{"id": 12345678901234567890.10, "text":"grüße 🚚"}'
  const answer = await cursor.append([...rows(3), { id: '9223372036854775807', body: big }], start)
  expect(answer).toEqual({ epoch: start.epoch, first: 3, count: 2, last: '9223372036854775807' })
  const entries = await b.redis.xrange(b.keys.stream, '-', '+')
  expect(entries[3]?.[1][1]).toContain(`{"package":4,"body":${big}}}`)
  expect((await payloads(b))[2]).toEqual({ package: 3, body: 3 })
  expect(await cursor.position()).toMatchObject({ last: '9223372036854775807' })
  expect(await sourcePositions(b.redis, b.keys)).toEqual({
    epoch: start.epoch,
    positions: { s: '9223372036854775807' },
  })
  expect(b.of('appended').map(({ first, count }) => [first, count])).toEqual([[3, 2]])
})

test('rows that do not follow the position are not appended, and the answer says where to go on', async () => {
  const b = await bench(on)
  const [one, other] = [open(b), open(b)]
  const start = await one.position()
  const first = await one.append(rows(1, 2), start)
  expect(await other.append(rows(1, 2, 3), start)).toMatchObject({ count: 0, last: '2' })
  expect(await one.append(rows(1, 2), start)).toMatchObject({ count: 0, last: '2' })
  expect(await other.append(rows(3), first)).toMatchObject({ count: 1, last: '3' })
  expect(await bodies(b)).toEqual([1, 2, 3])
})

test('sources of one stream have positions of their own', async () => {
  const b = await bench(on)
  await Promise.all(
    ['a', 'b'].map(async name => {
      const cursor = open(b, name)
      let at = await cursor.position()
      for (const id of upTo(20)) at = await cursor.append([{ id: `${id}`, body: `"${name}${id}"` }], at)
    }),
  )
  const found: string[] = await bodies(b)
  for (const name of ['a', 'b'])
    expect(found.filter(body => body.startsWith(name))).toEqual(upTo(20).map(id => `${name}${id}`))
  expect((await payloads(b)).map(one => one.package)).toEqual(upTo(40))
})

test.each([
  ['a new life', (b: Bench) => forget(b.redis, b.keys)],
  ['a stream that was deleted by hand', (b: Bench) => b.redis.del(b.keys.stream, b.keys.head)],
])('%s begins at the first row, and takes nothing of an earlier one', async (_, end) => {
  const b = await bench(on)
  const cursor = open(b)
  const at = await cursor.append(rows(1, 2), await cursor.position())
  await end(b)
  // It would follow a position of the old life, and one of its rows is the first of the new one.
  const next = await cursor.append(rows(3), at)
  expect(next).toMatchObject({ last: '0', count: 0 })
  expect(next.epoch).not.toBe(at.epoch)
  expect(await b.redis.xlen(b.keys.stream)).toBe(0)
  await cursor.append(rows(1), next)
  expect(await bodies(b)).toEqual([1])
})

test('also at the start of both lives, where the positions are alike', async () => {
  const b = await bench(on)
  const cursor = open(b)
  const at = await cursor.position()
  await forget(b.redis, b.keys)
  expect(await cursor.append(rows(1), at)).toMatchObject({ count: 0, last: '0' })
  expect(await b.redis.xlen(b.keys.stream)).toBe(0)
})

test('what is no call is refused before anything is sent', async () => {
  const b = await bench(on)
  const cursor = open(b)
  const at = await cursor.position()
  const wide = { body: JSON.stringify('x'.repeat(SOURCE_CALL.size)) }
  for (const bad of [
    [],
    rows(2, 2),
    rows(2, 1),
    rows(0),
    [{ id: '-1', body: '1' }],
    [{ id: 'x', body: '1' }],
    rows(...upTo(SOURCE_CALL.rows + 1)),
    [{ id: '1', ...wide }, ...rows(2)],
  ])
    await expect(cursor.append(bad, at)).rejects.toThrow()
  expect(await cursor.append([{ id: '1', ...wide }], at)).toMatchObject({ count: 1 }) // alone, a row has any size
})

test('the script looks at all of its arguments and keys before it writes', async () => {
  const b = await bench(on)
  const { epoch } = await openStream(b.redis, b.keys, b.groups)
  const script = new Script('source')
  const run = (...args: string[]) =>
    script.run(b.redis, [b.keys.stream, b.keys.head, b.keys.sources], [epoch, 's', '0', ...args])
  const whole = '{"package":'
  for (const args of [
    ['2', whole],
    ['2', whole, '}', '0', '}'],
    ['2', whole, '}', '0', '}', 'x'],
    ['2', whole, '}', '0', '}', '2', 'traceparent'],
    ['2', whole, '}', '0', '}', '1', 'traceparent'],
    ['2', whole, '}', '0', '}', '-2'],
    ['x', whole, '}', '0'],
    ['0', whole, '}', '0'],
  ])
    await expect(run(...args), args.join()).rejects.toMatchObject({ code: 'BADROWS' })
  await b.redis.set(b.keys.sources, 'a string')
  await expect(run('2', whole, '}', '0')).rejects.toMatchObject({ code: 'BADSTATE' })
  await b.redis.del(b.keys.sources)
  await b.redis.hdel(b.keys.head, 'sequence')
  await expect(run('2', whole, '}', '0')).rejects.toMatchObject({ code: 'BADSTATE' })
  expect(await b.redis.xlen(b.keys.stream)).toBe(0)
})

test('a stream that was deleted is an error, and what was closed is one', async () => {
  const b = await bench(on)
  const cursor = open(b)
  const at = await cursor.position()
  await b.redis.del(b.keys.stream)
  await expect(cursor.append(rows(1), at)).rejects.toMatchObject({ code: 'STREAMGONE' })
  cursor.close()
  await expect(cursor.position()).rejects.toBeInstanceOf(OutcomeUnknown)
})

test('replies are lost and connections cut: it goes on where it was', async () => {
  const { server, redis } = await ownRedis()
  const b = await bench({ server, redis })
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: server.port } })
  onTestFinished(() => proxy.close())
  const cursor = open(b, 's', { url: proxy.url, deadline: 1000 })
  let at = await cursor.position()
  let lost = 0
  for (let next = 1; next <= 60; next = Number(at.last) + 1) {
    const faulty = [
      undefined,
      () => proxy.dropNextReply(request => request.includes(':sources')),
      () => proxy.cutMidReply(request => request.includes(':sources')),
      () => proxy.cutAll(),
      () => server.kill().then(() => server.run()),
    ][next % 5]
    const fault = faulty?.()
    const answer = await cursor.append(rows(next, next + 1), at)
    await fault
    if (answer.count === 0) lost++
    at = answer
  }
  expect(await bodies(b)).toEqual(upTo(60))
  expect(lost).toBeGreaterThan(3)
}, 60_000)

type Step =
  /** It looks where the source is, as after a start or a lost connection. */
  | { do: 'look'; by: number }
  /** It reads rows behind where it believes the source to be; a call that is under way stays so. */
  | { do: 'read'; by: number; count: number }
  /** Its call arrives. `heard`: so does the answer. The same call may arrive again. */
  | { do: 'send'; by: number; heard: boolean }
  /** Everything that it knows is lost; `zombie`: its call arrives later. */
  | { do: 'kill'; by: number; zombie: boolean }
  | { do: 'wake' }

const by = fc.nat(1)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('look' as const), by }),
  fc.record({ do: fc.constant('read' as const), by, count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constant('send' as const), by, heard: fc.boolean() }),
  fc.record({ do: fc.constant('send' as const), by, heard: fc.boolean() }),
  fc.record({ do: fc.constant('kill' as const), by, zombie: fc.boolean() }),
  fc.record({ do: fc.constant('wake' as const) }),
)

test('whatever two instances do, each row is appended once and in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }),
      fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { minLength: 30, maxLength: 60 }),
      async (steps, ids) => {
        const b = await bench(on)
        const table = ids.sort((x, y) => x - y)
        const { epoch } = await openStream(b.redis, b.keys, b.groups)
        const cursors = [open(b), open(b)]
        type Call = { rows: SourceRow[]; after: string }
        const hands: { believes?: string | undefined; call?: Call | undefined }[] = [{}, {}]
        const zombies: Call[] = []
        const send = (by: number, { rows, after }: Call) =>
          (cursors[by] as SourceCursor).append(rows, { epoch, last: after })
        for (const step of [...steps, ...finish(table.length)]) {
          const hand = step.do === 'wake' ? {} : (hands[step.by] as (typeof hands)[number])
          if (step.do === 'look') hand.believes = (await cursors[step.by]?.position())?.last
          else if (step.do === 'read' && hand.believes !== undefined) {
            const after = hand.believes
            const found = table.filter(id => id > Number(after)).slice(0, step.count)
            hand.call = found.length > 0 ? { rows: rows(...found), after } : undefined
          } else if (step.do === 'send' && hand.call) {
            const { last } = await send(step.by, hand.call)
            if (step.heard) hand.believes = last
          } else if (step.do === 'kill') {
            if (step.zombie && hand.call) zombies.push(hand.call)
            hands[step.by] = {}
          } else if (step.do === 'wake') {
            const zombie = zombies.shift()
            if (zombie) await send(0, zombie)
          }
          const sent: number[] = await bodies(b)
          expect(sent, JSON.stringify(step)).toEqual(table.slice(0, sent.length))
          expect((await sourcePositions(b.redis, b.keys)).positions.s ?? '0').toBe(String(sent.at(-1) ?? 0))
        }
        expect(await bodies(b)).toEqual(table)
        for (const cursor of cursors) cursor.close()
      },
    ),
    { numRuns: 40, endOnFailure: true },
  )
}, 120_000)

/** Steps that send what is left. */
function finish(most: number): Step[] {
  const one: Step[] = [
    { do: 'look', by: 0 },
    { do: 'read', by: 0, count: 4 },
    { do: 'send', by: 0, heard: true },
  ]
  return Array.from({ length: most }, () => one).flat()
}
