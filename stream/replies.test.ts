import fc from 'fast-check'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { bench, useRedis } from '../tests/redis.ts'
import { Decoder, type Entry, Replies } from './replies.ts'

const on = useRedis()

type Value = string | null | Value[]

function encoded(value: Value): string {
  if (value === null) return '$-1\r\n'
  if (Array.isArray(value)) return `*${value.length}\r\n${value.map(encoded).join('')}`
  return `$${Buffer.byteLength(value)}\r\n${value}\r\n`
}

/** What it is decoded as when it comes in chunks that end there. */
function decoded(bytes: Buffer, ...ends: number[]): unknown {
  const decoder = new Decoder()
  const cuts = ends.map(end => end % bytes.length).sort((a, b) => a - b)
  for (const [i, cut] of cuts.entries())
    expect(decoder.write(bytes.subarray(cuts[i - 1] ?? 0, cut))).toBeUndefined()
  return decoder.write(bytes.subarray(cuts.at(-1) ?? 0))
}

test('whatever is in it, and wherever it is cut, a reply is what it was', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 30 })
  const { value } = fc.letrec<{ value: Value; array: Value[] }>(tie => ({
    value: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.constant(null),
      fc.constantFrom('\r\n', '*1\r\n', '$'),
      tie('array'),
    ),
    array: fc.array(tie('value') as fc.Arbitrary<Value>, { maxLength: 5 }),
  }))
  fc.assert(
    fc.property(fc.array(value), fc.array(fc.nat(), { maxLength: 8 }), (reply, cuts) => {
      expect(decoded(Buffer.from(encoded(reply)), ...cuts)).toEqual(reply)
    }),
    { numRuns: 1000 },
  )
})

test('a reply may come byte by byte', () => {
  const reply: Value = [
    [
      'numbers',
      [
        ['1-1', ['data', 'ä\r\n€', 'more', '']],
        ['1-2', []],
      ],
    ],
  ]
  const bytes = Buffer.from(encoded(reply))
  expect(decoded(bytes, ...bytes.keys())).toEqual(reply)
})

test('a map is an array of its keys and values', () => {
  expect(decoded(Buffer.from('%2\r\n$1\r\na\r\n*1\r\n$1\r\n1\r\n$1\r\nb\r\n_\r\n'))).toEqual([
    'a',
    ['1'],
    'b',
    null,
  ])
})

test.each(['*1\r\n:1\r\n', '*1\r\n$x\r\n', '*1\r\n$1\r\na\r\n+OK\r\n', '*1\r\n+OK\r\n'])(
  '%j is no such reply',
  text => {
    expect(() => decoded(Buffer.from(text))).toThrow(/^unexpected in a reply of Redis: "/)
  },
)

test('a large string is put together once', () => {
  const text = 'x'.repeat(20_000_000)
  const bytes = Buffer.from(encoded([text]))
  const ends = Array.from({ length: 5000 }, (_, i) => i * 4096)
  expect(decoded(bytes, ...ends)).toEqual([text])
})

test.each([2, 3] as const)(
  'entries are what they are by ioredis, and so is all else, with RESP%d',
  async protocol => {
    const b = await bench(on)
    const { stream } = b.keys
    await b.fill(700)
    await b.redis.xadd(stream, '*', 'data', 'ü\n\u0000"', 'empty', '', 'more', 'x'.repeat(200_000))
    const redis = new Redis(b.url, { protocol })
    onTestFinished(() => redis.disconnect())
    await redis.ping()
    const replies = new Replies(redis)
    const read = (group: string, on: Redis) =>
      on.xreadgroup('GROUP', group, 'x', 'COUNT', 1000, 'BLOCK', 10, 'STREAMS', stream, '>')
    await b.redis.xgroup('CREATE', stream, 'one', '0')
    await b.redis.xgroup('CREATE', stream, 'two', '0')
    const [[, entries]] = (await read('one', b.redis)) as [[string, Entry[]]]
    expect(entries).toHaveLength(701)
    expect([await read('two', redis), replies.take()]).toEqual(['OK', entries])
    expect([await read('two', redis), replies.take()]).toEqual([null, undefined])
    await expect(read('none', redis)).rejects.toThrow(/^NOGROUP/)
    expect([await redis.ping(), replies.take()]).toEqual(['PONG', undefined])
  },
)
