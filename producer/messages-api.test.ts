import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLog } from '@conveyor/service'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { Hono } from 'hono'
import { describe, expect, onTestFinished, test } from 'vitest'
import { newName, ownRedis, tempDir, until, useRedis } from '../tests/redis.ts'
import { producerApi } from './api.ts'
import { producerConfig } from './config.ts'
import type { Receipt } from './messages-api.ts'
import { openApi } from './openapi.ts'
import { Producer } from './producer.ts'
import { loadSchema } from './schema.ts'

const on = useRedis()

/** A producer that emits nothing by itself, and its API. */
async function start(env: NodeJS.ProcessEnv = {}, schema?: object) {
  const path = schema && join(await tempDir(), 'schema.json')
  if (path) await writeFile(path, JSON.stringify(schema))
  const config = producerConfig({ REDIS_URL: on.server.url, STREAM: newName(), RATE: '0', ...env })
  const log = createLog('test', 'silent')
  const producer = new Producer(config, log)
  const stop = new AbortController()
  const ended = producer.run(stop.signal)
  ended.catch(() => {})
  onTestFinished(async () => {
    stop.abort()
    await ended.catch(() => {})
  })
  await until(() => producer.ready, 'ready')
  const api = producerApi(producer, config, await loadSchema(path), log)
  return { api, producer, stream: config.STREAM }
}

type Init = { body?: string | Uint8Array | ReadableStream; headers?: Record<string, string>; type?: string }
const post = (api: Hono, path: string, { body, headers, type = 'application/json' }: Init) =>
  api.request(path, {
    method: 'POST',
    body: body as string,
    headers: { 'content-type': type, ...headers },
    ...(body instanceof ReadableStream && { duplex: 'half' }),
  } as RequestInit)
const NDJSON = 'application/x-ndjson'
const bodies = async (stream: string) =>
  (await on.redis.xrange(stream, '-', '+')).map(([, fields]) => JSON.parse(fields[1] as string).payload.body)
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
const receipts = async (response: Response): Promise<Receipt[]> =>
  (await response.text())
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))

describe('one message', () => {
  test.each(['{"query":"x"}', '[1,2]', '"text"', '7', 'null', 'false', ' {\n"a": 12345678901234567890 }\n'])(
    '%j is appended as it is',
    async body => {
      const { api, stream } = await start()
      const response = await post(api, '/messages', { body })
      expect(response.status).toBe(202)
      const [[id, fields]] = (await on.redis.xrange(stream, '-', '+')) as [[string, string[]]]
      const receipt = await response.json()
      expect(receipt).toEqual({ id, package: 1, epoch: expect.stringMatching(/^\d{8}T/) })
      expect(response.headers.get('location')).toBe('/messages/1')
      expect(fields[1]).toContain(`"body":${body}}}`)
    },
  )

  test.each([
    ['', 400, /^JSON is allowed/],
    ['{"a":', 400, /^JSON is allowed/],
    [new Uint8Array([0x22, 0xff, 0x22]), 400, /^UTF-8 is allowed/],
    [`"${'x'.repeat(2000)}"`, 413, /^a body of at most 1024 bytes is allowed/],
  ])('%o is refused with one line', async (body, status, detail) => {
    const { api, stream } = await start({ MAX_BODY_BYTES: '1024' })
    const response = await post(api, '/messages', { body })
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toEqual({ status, detail: expect.stringMatching(detail) })
    expect(await bodies(stream)).toEqual([])
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', ''])(
    'of type %j is refused: that is what a page of another origin could send',
    async type => {
      const { api, stream } = await start()
      expect((await post(api, '/messages', { body: '1', type })).status).toBe(415)
      expect((await post(api, '/messages/batch', { body: '[1]', type })).status).toBe(415)
      expect(await bodies(stream)).toEqual([])
    },
  )
})

describe('a batch', () => {
  test('is appended in order, each message with a receipt', async () => {
    const { api, stream } = await start()
    const response = await post(api, '/messages/batch', { body: '[1, {"a": [2, 3]}, "x,]"]' })
    expect(response.status).toBe(202)
    const { messages } = (await response.json()) as { messages: Receipt[] }
    expect(messages.map(receipt => receipt.package)).toEqual([1, 2, 3])
    expect(await bodies(stream)).toEqual([1, { a: [2, 3] }, 'x,]'])
  })

  test.each(['[]', '{}', '1', `[${'0,'.repeat(1000)}0]`])('%.20s… is refused', async body => {
    const { api, stream } = await start()
    const response = await post(api, '/messages/batch', { body })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining('an array of 1 to 1000') })
    expect(await bodies(stream)).toEqual([])
  })
})

describe('a stream', () => {
  test('of many lines is appended in order, with a receipt for each', async () => {
    const { api, stream } = await start()
    const body = upTo(2345)
      .map(n => JSON.stringify({ n }))
      .join('\r\n\n')
    const response = await post(api, '/messages', { body, type: `${NDJSON}; charset=utf-8` })
    expect(response.status).toBe(202)
    const found = await receipts(response)
    expect(found.map(receipt => receipt.package)).toEqual(upTo(2345))
    expect(found.map(({ id }) => id)).toEqual((await on.redis.xrange(stream, '-', '+')).map(([id]) => id))
    expect(await bodies(stream)).toEqual(upTo(2345).map(n => ({ n })))
  })

  test('that has a line which is refused says which, and how many are appended', async () => {
    const { api, stream } = await start({ MAX_BODY_BYTES: '1024' })
    for (const [line, status] of [
      ['{', 400],
      [`"${'x'.repeat(2000)}"`, 413],
    ] as const) {
      const body = [...upTo(700), line, ...upTo(10)].join('\n')
      const response = await post(api, '/messages', { body, type: NDJSON })
      expect(response.status).toBe(status)
      expect(await response.json()).toMatchObject({
        detail: expect.stringMatching(/^message 700: /),
        accepted: 500,
      })
    }
    expect((await bodies(stream)).length).toBe(1000)
  })

  test('that breaks off is continued under its key: what was appended gets its first answer', async () => {
    const { api, stream } = await start()
    const headers = { 'idempotency-key': 'night-run' }
    const all = upTo(1800).map(n => `${n}\n`)
    const broken = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(all.slice(0, 1200).join('')))
      },
      async pull(controller) {
        await until(async () => (await bodies(stream)).length === 1000, 'two parts')
        controller.error(new Error('the client is gone'))
      },
    })
    expect((await post(api, '/messages', { body: broken, type: NDJSON, headers })).status).toBe(500)
    await post(api, '/messages', { body: '"between"' })
    const again = await post(api, '/messages', { body: all.join(''), type: NDJSON, headers })
    expect(again.status).toBe(202)
    const found = await receipts(again)
    expect(await bodies(stream)).toEqual([...upTo(1000), 'between', ...upTo(1800).slice(1000)])
    expect(found.map(receipt => receipt.package)).toEqual(upTo(1801).filter(n => n !== 1001))
    const third = await post(api, '/messages', { body: all.join(''), type: NDJSON, headers })
    expect(third.headers.get('idempotency-replayed')).toBe('true')
    expect(await receipts(third)).toEqual(found)
  })

  test('of nothing is nothing', async () => {
    const { api } = await start()
    const response = await post(api, '/messages', { body: '\n\n', type: NDJSON })
    expect([response.status, await response.text()]).toEqual([202, ''])
  })

  test('waits for consumers when the backlog fills up, and goes on', async () => {
    const { api, stream } = await start({ MAX_BACKLOG: '1000' })
    const body = upTo(2400).join('\n')
    const response = post(api, '/messages', { body, type: NDJSON })
    await until(async () => (await bodies(stream)).length === 1000, 'the limit')
    for (let got = 0; got < 2400; ) {
      const reply = await on.redis.xreadgroup(
        'GROUP',
        'consumer_group',
        'c',
        'COUNT',
        500,
        'STREAMS',
        stream,
        '>',
      )
      got += (reply as [string, unknown[]][] | null)?.[0]?.[1].length ?? 0
    }
    expect((await response).status).toBe(202)
    expect(await bodies(stream)).toEqual(upTo(2400))
  })
})

describe('an Idempotency-Key', () => {
  test.each([
    ['/messages', '{"n":1}'],
    ['/messages/batch', '[1,2,3]'],
  ])(
    'makes a repeated request to %s get the first answer, also from another producer',
    async (path, body) => {
      const { api, stream } = await start()
      const other = await start({ STREAM: stream })
      const init = { body, headers: { 'idempotency-key': '8e03978e-40d5-43dd-bc93-6894a57f9324' } }
      const first = await post(api, path, init)
      expect(first.headers.get('idempotency-replayed')).toBeNull()
      const answer = await first.json()
      const count = (await bodies(stream)).length
      for (const { api: at } of [{ api }, other]) {
        const again = await post(at, path, init)
        expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([202, 'true'])
        expect(await again.json()).toEqual(answer)
      }
      expect((await bodies(stream)).length).toBe(count)
    },
  )

  test('for another request is refused', async () => {
    const { api, stream } = await start()
    const headers = { 'idempotency-key': 'k' }
    await post(api, '/messages', { body: '1', headers })
    const response = await post(api, '/messages', { body: '2', headers })
    expect(response.status).toBe(422)
    expect(await bodies(stream)).toEqual([1])
  })

  test.each(['', 'a b', 'x'.repeat(256)])('%j cannot be one', async key => {
    const { api } = await start()
    const response = await post(api, '/messages', { body: '1', headers: { 'idempotency-key': key } })
    expect(response.status).toBe(400)
  })
})

describe('a schema', () => {
  const SCHEMA = { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] }

  test('says which field of which message is wrong, and nothing is appended', async () => {
    const { api, stream } = await start({}, SCHEMA)
    const one = await post(api, '/messages', { body: '{"query":1}' })
    expect(one.status).toBe(422)
    expect(await one.json()).toEqual({
      status: 422,
      detail: '/query must be string',
      errors: [{ path: '/query', message: 'must be string' }],
    })
    const batch = await post(api, '/messages/batch', { body: '[{"query":"a"},{},{"query":null}]' })
    expect(await batch.json()).toEqual({
      status: 422,
      detail: 'message 1: /query is required',
      errors: [
        { path: '/query', message: 'is required', index: 1 },
        { path: '/query', message: 'must be string', index: 2 },
      ],
    })
    const lines = await post(api, '/messages', { body: '{"query":"a"}\n[]', type: NDJSON })
    expect(await lines.json()).toMatchObject({
      accepted: 0,
      errors: [{ path: '', message: 'must be object', index: 1 }],
    })
    expect(await bodies(stream)).toEqual([])
    expect((await post(api, '/messages', { body: '{"query":"a"}' })).status).toBe(202)
  })
})

test('when consumers are too far behind, messages are refused until they have caught up', async () => {
  const { api, stream } = await start({ MAX_BACKLOG: '3' })
  expect((await post(api, '/messages/batch', { body: '[1,2,3]' })).status).toBe(202)
  for (const [path, body, type] of [
    ['/messages', '4', undefined],
    ['/messages/batch', '[4]', undefined],
    ['/messages', '4', NDJSON],
  ] as const) {
    const response = await post(api, path, { body, ...(type && { type }) })
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '1'])
  }
  await on.redis.xreadgroup('GROUP', 'consumer_group', 'c', 'COUNT', 3, 'STREAMS', stream, '>')
  await until(async () => (await post(api, '/messages', { body: '4' })).status === 202, 'room')
  expect(await bodies(stream)).toEqual([1, 2, 3, 4])
})

describe('what has become of a message', () => {
  const get = async (api: Hono, path: string) => {
    const response = await api.request(path)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  test('is told by number and by id, until it is committed', async () => {
    const { api, stream } = await start()
    const receipt = (await (await post(api, '/messages', { body: '"x"' })).json()) as Receipt
    for (const which of ['1', receipt.id]) {
      expect(await get(api, `/messages/${which}`)).toEqual({
        status: 200,
        body: {
          package: 1,
          epoch: receipt.epoch,
          group: 'consumer_group',
          state: 'undelivered',
          place: { at: 'undelivered', entry: receipt.id },
          history: [],
        },
      })
    }
    await on.redis.xreadgroup('GROUP', 'consumer_group', 'c', 'COUNT', 1, 'STREAMS', stream, '>')
    expect((await get(api, '/messages/1')).body).toMatchObject({ state: 'pending', place: { consumer: 'c' } })
    await on.redis.xack(stream, 'consumer_group', receipt.id)
    expect((await get(api, '/messages/1')).body).toMatchObject({ state: 'committed' })
  })

  test.each([
    ['/messages/2', 404],
    ['/messages/0', 404],
    ['/messages/1783728000000-0', 404],
    ['/messages/x', 400],
    ['/messages/1-2-3', 400],
    ['/messages/-1', 400],
    ['/messages/1?group=nobody', 400],
    ['/messages/99999999999999999999', 400],
  ])('%s: %i', async (path, status) => {
    const { api } = await start()
    await post(api, '/messages', { body: '1' })
    const found = await get(api, path)
    expect(found.status).toBe(status)
    expect(found.body.detail).toEqual(expect.any(String))
  })

  test('is not asked by too many at once', async () => {
    const { api } = await start()
    await post(api, '/messages', { body: '1' })
    const found = await Promise.all(upTo(40).map(() => get(api, '/messages/1')))
    expect(new Set(found.map(({ status }) => status))).toEqual(new Set([200, 429]))
    expect((await get(api, '/messages/1')).status).toBe(200)
  })
})

test('while Redis is away nothing is said to be appended', async () => {
  const { server, redis } = await ownRedis()
  const stream = newName()
  const { api } = await start({ REDIS_URL: server.url, STREAM: stream, COMMAND_TIMEOUT_MS: '500' })
  await post(api, '/messages', { body: '1' })
  await server.kill()
  const headers = { 'idempotency-key': 'k' }
  const answers = await Promise.all([
    post(api, '/messages', { body: '2', headers }),
    api.request('/messages/1'),
  ])
  expect(answers.map(({ status }) => status)).toEqual([504, 503])
  await server.run()
  const again = await until(async () => {
    const response = await post(api, '/messages', { body: '2', headers })
    return response.status === 202 ? response : undefined
  }, 'Redis is back')
  expect(((await (again as Response).json()) as Receipt).package).toBe(2)
  expect(await redis.xlen(stream)).toBe(2)
}, 30_000)

describe('the OpenAPI document', () => {
  test('has each route of the API, and no other', async () => {
    const { api } = await start()
    const document = (await (await api.request('/openapi.json')).json()) as { paths: Record<string, object> }
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map(method => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/, ':$1')}`),
    )
    const routes = api.routes
      .map(({ method, path }) => `${method} ${path}`)
      .filter(route => !/^ALL |\/docs|\/openapi.json|^GET \/$/.test(route))
    expect([...new Set(described)].sort()).toEqual([...new Set(routes)].sort())
  })

  test('describes what is answered', async () => {
    const { api } = await start({ MIX: 'success=1' }, { type: 'integer' })
    const document = (await (await api.request('/openapi.json')).json()) as ReturnType<typeof openApi>
    const ajv = new Ajv2020({ strict: false })
    formats.default(ajv)
    ajv.addSchema(document, 'api')
    const conforms = (name: string, value: unknown) => {
      const valid = ajv.validate(`api#/components/schemas/${name}`, value)
      expect(ajv.errors ?? [], name).toEqual([])
      expect(valid).toBe(true)
    }
    conforms('Status', await (await api.request('/status')).json())
    conforms('Receipt', await (await post(api, '/messages', { body: '1' })).json())
    conforms('MessageState', await (await api.request('/messages/1')).json())
    conforms('Problem', await (await post(api, '/messages', { body: '"x"' })).json())
    conforms('Problem', await (await api.request('/nowhere')).json())
    conforms('Message', 1)
  })

  test('asks for a token where there is one', () => {
    const open = JSON.stringify(openApi({ maxBytes: 1, token: false }))
    expect(open).not.toContain('security')
    expect(openApi({ maxBytes: 1, token: true })).toMatchObject({
      paths: { '/pause': { post: { security: [{ token: [] }] } } },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    })
  })
})
