import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decode, Poison, returnedOf } from './message.ts'

const data = (payload: unknown, timestamp: unknown = 1753553379) =>
  JSON.stringify({ timestamp_producer: timestamp, payload })
const entry = (text: string, ...more: string[]) => decode('1-1', ['data', text, ...more], 1)

/** Why an entry is poison; fails when it is none. */
function reasonOf(fields: string[]): string {
  try {
    decode('1-1', fields, 1)
  } catch (error) {
    if (error instanceof Poison) return error.reason
    throw error
  }
  throw new Error(`${JSON.stringify(fields).slice(0, 100)} was read`)
}

test('an entry is read into its number, time, payload and trace context', () => {
  const fields = [
    'traceparent',
    '00-a-b-01',
    'data',
    data({ package: 7, to: 'x' }),
    'tracestate',
    'k=v',
    'other',
    '1',
  ]
  expect(decode('5-0', fields, 3)).toEqual({
    entry: '5-0',
    id: '5-0',
    attempt: 1,
    replays: 0,
    failures: [],
    package: 7,
    timestamp: 1753553379,
    payload: { package: 7, to: 'x' },
    deliveries: 3,
    traceparent: '00-a-b-01',
    tracestate: 'k=v',
  })
})

test('without trace context, or with a tracestate only, there are no such fields', () => {
  expect(Object.keys(entry(data({ package: 1 })))).not.toContain('traceparent')
  expect(Object.keys(entry(data({ package: 1 }), 'tracestate', 'k=v'))).not.toContain('tracestate')
})

test('an entry without data is poison, also one with no fields at all', () => {
  expect(reasonOf([])).toBe('no data')
  expect(reasonOf(['date', data({ package: 1 })])).toBe('no data')
  expect(reasonOf(['', ''])).toBe('no data')
  expect(reasonOf(['data'])).toBe('no data')
})

test('data that is no JSON is poison', () => {
  for (const text of ['', '{', 'x', '{"payload":{"package":1}', 'undefined', '\0', '\ufffd\ufffd', "{'a':1}"])
    expect(reasonOf(['data', text])).toBe('unparseable')
})

test('JSON that is no message is poison', () => {
  for (const text of ['null', '1', '"x"', '[]', '{}', '{"payload":null}', '{"payload":5}', '{"payload":"5"}'])
    expect(reasonOf(['data', text])).toBe('no package number')
})

test('a package number that is no integer from 1 is poison', () => {
  for (const number of [0, -0, -1, 1.5, '1', true, null, [1], { valueOf: 1 }, 2 ** 53, 1e300])
    expect(reasonOf(['data', data({ package: number })])).toBe('no package number')
  for (const number of ['1e999', '-1e999', '9007199254740993', '0.1', '-0'])
    expect(reasonOf(['data', `{"timestamp_producer":1,"payload":{"package":${number}}}`])).toBe(
      'no package number',
    )
})

test('the largest safe number is a package', () => {
  expect(entry(data({ package: Number.MAX_SAFE_INTEGER })).package).toBe(9007199254740991)
})

test('a number that comes from __proto__ or a constructor is none', () => {
  for (const text of [
    '{"timestamp_producer":1,"payload":{"__proto__":{"package":5}}}',
    '{"timestamp_producer":1,"__proto__":{"payload":{"package":5}}}',
    '{"timestamp_producer":1,"constructor":{"prototype":{"payload":{"package":5}}}}',
  ])
    expect(reasonOf(['data', text])).toBe('no package number')
  expect(({} as Record<string, unknown>).package).toBeUndefined()
})

test('a time that is no number is poison', () => {
  for (const time of ['1', null, true, {}])
    expect(reasonOf(['data', data({ package: 1 }, time)])).toBe('no timestamp')
  expect(reasonOf(['data', '{"payload":{"package":1}}'])).toBe('no timestamp')
  expect(reasonOf(['data', '{"timestamp_producer":1e999,"payload":{"package":1}}'])).toBe('no timestamp')
})

test('values nested deeper than the stack are poison, and end nothing', () => {
  const deep = '['.repeat(50_000) + ']'.repeat(50_000)
  expect(reasonOf(['data', `{"timestamp_producer":1,"payload":{"package":${deep}}}`])).toBe(
    'no package number',
  )
  expect(reasonOf(['data', `{"timestamp_producer":${deep},"payload":{"package":1}}`])).toBe('no timestamp')
})

test('the detail of a poison entry is short, however large the entry', () => {
  const large = 'x'.repeat(1_000_000)
  try {
    entry(data({ package: large }))
    expect.unreachable()
  } catch (error) {
    expect((error as Poison).detail.length).toBeLessThan(10_000)
  }
})

test('whatever an entry holds, it is a message or poison', () => {
  const json = fc.json({ maxDepth: 4 })
  const nearly = fc
    .record({
      timestamp_producer: fc.anything(),
      payload: fc.record({ package: fc.anything() }, { requiredKeys: [] }),
    })
    .map(value => JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? String(item) : item)) ?? '')
  const fields = fc.array(fc.oneof(json, nearly, fc.string(), fc.constant('data')), { maxLength: 6 })
  fc.assert(
    fc.property(
      fc.oneof(
        fields,
        nearly.map(text => ['data', text]),
      ),
      found => {
        try {
          const message = decode('1-1', found, 1)
          return Number.isSafeInteger(message.package) && Number.isFinite(message.timestamp)
        } catch (error) {
          return error instanceof Poison
        }
      },
    ),
    { numRuns: 2000 },
  )
})

const failure = { attempt: 2, at: 5, consumer: 'c', reason: 'handler failed', detail: 'no' }
const came = { group: 'g', id: '1-0', attempt: 3, replays: 1, failures: [failure] }

test('an entry that came back says what happened to it before', () => {
  const fields = ['conveyor-sequence', '99', 'data', data({ package: 7 }), 'conveyor', JSON.stringify(came)]
  expect(returnedOf(fields)).toEqual({ ...came, sequence: 99 })
  const { id, attempt, replays, failures } = came
  expect(decode('5-0', fields, 1)).toMatchObject({ entry: '5-0', id, attempt, replays, failures, package: 7 })
})

test.each([
  ['no JSON', '{'],
  ['another value', '7'],
  ['null', 'null'],
  ['a missing part', JSON.stringify({ ...came, group: undefined })],
  ['a number that is none', JSON.stringify({ ...came, attempt: 'three' })],
  ['failures that are none', JSON.stringify({ ...came, failures: {} })],
  ['a failure that is none', JSON.stringify({ ...came, failures: [null] })],
  ['an id that is none', JSON.stringify({ ...came, id: 'x' })],
])("a field conveyor that holds %s is taken for somebody else's", (_, text) => {
  const fields = ['data', data({ package: 7 }), 'conveyor', text]
  expect(returnedOf(fields)).toBeUndefined()
  expect(decode('5-0', fields, 1)).toMatchObject({ id: '5-0', attempt: 1, package: 7 })
})

test('more fields than a script can pass on make an entry unreadable', () => {
  const fields = ['data', data({ package: 7 }), ...Array.from({ length: 6000 }, (_, i) => String(i))]
  expect(() => decode('5-0', fields, 1)).toThrow('3001 fields are too many')
})
