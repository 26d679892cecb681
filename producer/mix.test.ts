import { decode } from '@conveyor/stream'
import { describe, expect, test } from 'vitest'
import { formatMix, type Mix, mixed, murmur3, type Payload, parseMix, payloadOf } from './mix.ts'

const MIX = parseMix('success=60,retry=15,fail=5,order=15,test=5')
const SEED = 7
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
const payloads = (mix: Mix, seed: number, count: number) => upTo(count).map(n => payloadOf(mix, seed, n))

/** What the entries of such templates would say, the first of them being package `first`. */
function written(templates: ReturnType<typeof mixed>, first = 1) {
  let n = first
  return templates.flatMap(({ count, before, after }) =>
    Array.from({ length: count }, () => `${before}${n++}${after}`),
  )
}

/** Part of the packages for which it holds. */
const part = (all: Payload[], holds: (payload: Payload) => boolean) => all.filter(holds).length / all.length

// https://stackoverflow.com/questions/14747343/murmurhash3-test-vectors
test.each([
  [[], 0, 0],
  [[], 1, 0x514e28b7],
  [[], 0xffffffff, 0x81f16f39],
  [[0xffffffff], 0, 0x76293b50],
  [[0x87654321], 0, 0xf55b516b],
  [[0x87654321], 0x5082edee, 0x2362f9de],
  [[0], 0, 0x2362f9de],
])('murmur3(%o, %i) is what everybody else has', (words, seed, hash) => {
  expect(murmur3(words, seed)).toBe(hash)
})

describe('what a package is', () => {
  test('goes by mix, seed and number, whatever was asked before', () => {
    const forwards = payloads(MIX, SEED, 500)
    const backwards = upTo(500)
      .reverse()
      .map(n => payloadOf(MIX, SEED, n))
    expect(backwards.reverse()).toEqual(forwards)
  })

  test('stays as it is from release to release', () => {
    const types = payloads(MIX, SEED, 9).map(({ type }) => type)
    expect(types.join(' ')).toBe('success success retry success order success success success retry')
  })

  test('does not go by the order in which the mix is written', () => {
    expect(payloads(parseMix('test=5,order=15,fail=5,retry=15,success=60'), SEED, 500)).toEqual(
      payloads(MIX, SEED, 500),
    )
  })

  test('is something else under another seed', () => {
    const same = payloads(MIX, SEED, 1000).filter(
      ({ type }, i) => payloadOf(MIX, SEED + 1, i + 1).type === type,
    )
    expect(same.length).toBeLessThan(600) // 0.6² + 0.15² + … = 43 % by chance
  })

  test('can be said of the highest number as well', () => {
    const far = Number.MAX_SAFE_INTEGER - 1000
    const types = new Set(upTo(1000).map(n => payloadOf(MIX, SEED, far + n).type))
    expect(types.size).toBe(5)
    expect(upTo(200).map(n => payloadOf(MIX, SEED, n + 2 ** 32))).not.toEqual(payloads(MIX, SEED, 200))
  })

  test('comes as often as its weight says, also among few', () => {
    const all = payloads(MIX, SEED, 100_000)
    const weights = { success: 0.6, retry: 0.15, fail: 0.05, order: 0.15, test: 0.05 }
    for (const [type, weight] of Object.entries(weights))
      expect(
        part(all, payload => payload.type === type),
        type,
      ).toBeCloseTo(weight, 2)
    for (const seed of upTo(20)) {
      const few = payloads(parseMix('success=90,fail=10'), seed, 2000)
      expect(part(few, ({ type }) => type === 'fail')).toBeCloseTo(0.1, 1)
    }
  })

  test('an order passes its security check in one case of two, and then needs 1 to 5 attempts', () => {
    const all = payloads(parseMix('order=1'), SEED, 50_000)
    const passing = all.filter(payload => payload.type === 'order' && payload.security_check)
    expect(passing.length / all.length).toBeCloseTo(0.5, 2)
    for (const n of [1, 2, 3, 4, 5])
      expect(
        part(passing, payload => payload.type === 'order' && payload.attempts === n),
        `${n}`,
      ).toBeCloseTo(0.2, 1)
    const failing = all.find(payload => payload.type === 'order' && !payload.security_check)
    expect(failing).toEqual({ type: 'order', security_check: false, attempts: 6 })
  })
})

test('a query is an arithmetic problem; few of them divide by zero', () => {
  const all = payloads(parseMix('query=1'), SEED, 20_000)
  for (const payload of all.slice(0, 500))
    expect(payload).toEqual({ type: 'query', query: expect.stringMatching(/^\d+ [-+*/] \d+$/) })
  expect(part(all, payload => payload.type === 'query' && payload.query.endsWith('/ 0'))).toBeCloseTo(
    1 / 52,
    2,
  )
})

describe('templates', () => {
  test('say the same however the packages are cut into requests', () => {
    const whole = written(mixed(MIX, SEED, 1, 600, 0))
    const pieces = [1, 2, 102, 400].flatMap((first, i, all) =>
      written(mixed(MIX, SEED, first, (all[i + 1] ?? 601) - first, 0), first),
    )
    expect(pieces).toEqual(whole)
    expect(whole).toHaveLength(600)
  })

  test('are one for all that are alike and follow each other', () => {
    expect(mixed(parseMix('test=1'), SEED, 1, 500)).toMatchObject([{ count: 500 }])
    const templates = mixed(MIX, SEED, 1, 500)
    expect(templates.every(({ after }, i) => after !== templates[i + 1]?.after)).toBe(true)
  })

  test('have the format that other tools read, the number first', () => {
    const [data] = written(mixed(parseMix('order=1'), SEED, 41, 1, 1753553379_500), 41)
    expect(data).toMatch(
      /^\{"timestamp_producer":1753553379,"payload":\{"package":41,"type":"order","security_check":(true|false),"attempts":[1-6]\}\}$/,
    )
    expect(decode('1-0', ['data', data as string], 1)).toMatchObject({ package: 41, timestamp: 1753553379 })
  })
})

describe('a mix as text', () => {
  test('is read and shown in one order', () => {
    expect(parseMix('fail=2,success=90,retry=7.5')).toEqual([
      ['success', 90],
      ['retry', 7.5],
      ['fail', 2],
    ])
    expect(formatMix(parseMix('fail=2,success=90,retry=7.5'))).toBe('success=90,retry=7.5,fail=2')
  })

  test.each([
    '',
    'success',
    'success=',
    'success=0',
    'success=-1',
    'success=1e3',
    'success=1,',
    'success=1,success=2',
    'success=1 fail=2',
    'success=1, fail=2',
    'failure=1',
    'toString=1',
    `success=${'9'.repeat(400)}`,
  ])('refuses %o', text => {
    expect(() => parseMix(text)).toThrow(
      'success, retry, fail, order, test, query, each once and with a weight above 0, as in success=90,retry=8,fail=2, are allowed',
    )
  })
})
