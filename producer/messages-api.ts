import { decoded, type FieldError, jsonText, limitedTo, mediaType, Problem, parsed } from '@conveyor/service'
import {
  ConnectionLost,
  type Ingest,
  type Ingested,
  type IngestRequest,
  idsOf,
  KeyReused,
  MOST_MESSAGES,
  NotAppended,
  OutcomeUnknown,
  RedisError,
  StreamUnusable,
} from '@conveyor/stream'
import { context, propagation } from '@opentelemetry/api'
import { type Context, Hono } from 'hono'
import { elementsOf, LineTooLong, linesOf } from './json-texts.ts'
import { BadQuestion, type Lookup, TooBusy } from './lookup.ts'
import type { MessageSchema } from './schema.ts'

/** What the API of messages stands on. */
export interface Ends {
  readonly ingest: Pick<Ingest, 'add'>
  /** Whether Redis answered a moment ago. */
  readonly ready: () => boolean
  /** Whether consumers are so far behind that nothing more is taken. */
  readonly full: () => boolean
  readonly lookup: Lookup
  readonly schema: MessageSchema
  /** Bytes of a request's body, or of a line of a stream, at most. */
  readonly maxBytes: number
}

/** What a client gets for each message. */
export interface Receipt {
  /** Id of the message; handlers see it as `message.id`. */
  readonly id: string
  readonly package: number
  /** The run that the number belongs to. */
  readonly epoch: string
}

/** Lines of a stream that are appended together; where they are cut depends on nothing but the stream. */
const PART = { lines: 500, bytes: 256 * 1024 }
/** Ms for which a stream waits for room, and between looks. */
const WAIT = { most: 10_000, step: 50 }
/** Printable ASCII, as the draft has it: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ */
const KEY = /^[\x21-\x7e]{1,255}$/

/**
 * `POST /messages` one message, or with `application/x-ndjson` a stream of any length · `POST /messages/batch` an array
 * of up to 1000 · `GET /messages/{id}` what has become of one
 */
export function messagesApi(ends: Ends): Hono {
  const { maxBytes, lookup } = ends
  const limited = limitedTo(maxBytes, 'MAX_BODY_BYTES')
  return new Hono()
    .post('/messages', (c, next) => (mediaType(c) === 'application/x-ndjson' ? stream(c, ends) : next()))
    .post('/messages', limited, async c => {
      const text = await jsonText(c, ', or for a stream application/x-ndjson,')
      refuse(checked(text, ends))
      refuseWhenFull(ends)
      const answer = await add(ends, { bodies: [text], key: keyOf(c), ...parentOf(c) })
      const [receipt] = receiptsOf(answer) as [Receipt]
      return c.json(receipt, 202, { ...replayed(answer), location: `/messages/${receipt.package}` })
    })
    .post('/messages/batch', limited, async c => {
      const text = await jsonText(c, ', or for a stream application/x-ndjson,')
      refuse(batch(text).flatMap((body, index) => located(ends.schema.check(body), index)))
      refuseWhenFull(ends)
      const answer = await add(ends, { bodies: elementsOf(text), key: keyOf(c), ...parentOf(c) })
      return c.json({ messages: receiptsOf(answer) }, 202, replayed(answer))
    })
    .get('/messages/:id', async c => {
      try {
        const found = await lookup.find(c.req.param('id'), c.req.query('group'))
        if (found) return c.json(found)
      } catch (error) {
        if (error instanceof BadQuestion) throw new Problem(400, error.message)
        if (error instanceof TooBusy) throw new Problem(429, error.message, later())
        throw refusalOf(error)
      }
      throw new Problem(
        404,
        `${c.req.param('id')}: no such message in this run; ids are known while the stream holds the entry or with HISTORY=all, package numbers always`,
      )
    })
}

/** Appends a stream part by part; what was appended of a stream that breaks off stays. */
async function stream(c: Context, ends: Ends): Promise<Response> {
  const key = keyOf(c)
  const parent = parentOf(c)
  const answers: Ingested[] = []
  let part: string[] = []
  let bytes = 0
  let index = 0
  refuseWhenFull(ends)
  const count = () => answers.reduce((sum, answer) => sum + answer.count, 0)
  const append = async () => {
    await room(ends)
    // No header can hold a newline: no other request has this key.
    const request = { bodies: part, key: key && `${key}\n${answers.length}`, ...parent }
    answers.push(await add(ends, request))
    part = []
    bytes = 0
  }
  try {
    for await (const line of linesOf(bodyOf(c), ends.maxBytes)) {
      const text = decoded(line, index).trim()
      if (text === '') continue
      refuse(located(checked(text, ends, index), index))
      part.push(text)
      bytes += line.length
      index++
      if (part.length === PART.lines || bytes >= PART.bytes) await append()
    }
    if (part.length > 0) await append()
  } catch (error) {
    const problem =
      error instanceof LineTooLong
        ? new Problem(
            413,
            `message ${index}: a line of at most ${ends.maxBytes} bytes is allowed (MAX_BODY_BYTES)`,
          )
        : error
    if (!(problem instanceof Problem)) throw error
    throw new Problem(problem.status, problem.message, { ...problem.options, accepted: count() })
  }
  const encoder = new TextEncoder()
  let next = 0
  const receipts = new ReadableStream({
    pull(controller) {
      const answer = answers[next++]
      if (!answer) return controller.close()
      const lines = receiptsOf(answer).map(receipt => `${JSON.stringify(receipt)}\n`)
      controller.enqueue(encoder.encode(lines.join('')))
    },
  })
  const all = answers.length > 0 && answers.every(({ repeated }) => repeated)
  return c.body(receipts, 202, {
    'content-type': 'application/x-ndjson',
    ...(all && { 'idempotency-replayed': 'true' }),
  })
}

async function* bodyOf(c: Context): AsyncGenerator<Uint8Array> {
  if (c.req.raw.body) yield* c.req.raw.body as unknown as AsyncIterable<Uint8Array>
}

async function add({ ingest, ready }: Ends, request: IngestRequest): Promise<Ingested> {
  if (!ready())
    throw new Problem(503, 'Redis does not answer, or a group is missing: nothing was appended', later())
  try {
    return await ingest.add(request)
  } catch (error) {
    throw refusalOf(error)
  }
}

/** What a client is told of an error of the stream; other errors come back as they are. */
function refusalOf(error: unknown): unknown {
  if (error instanceof KeyReused)
    return new Problem(422, 'this Idempotency-Key was used for another request within 24 h')
  if (error instanceof OutcomeUnknown)
    return new Problem(
      504,
      'it is not known whether the messages were appended: make the request again with the same Idempotency-Key',
    )
  if (error instanceof NotAppended) return new Problem(503, error.message, later())
  if (error instanceof StreamUnusable || error instanceof RedisError || error instanceof ConnectionLost)
    return new Problem(503, `Redis refuses: ${error.message}`, later())
  return error
}

function refuseWhenFull({ full }: Ends): void {
  if (full()) throw new Problem(429, 'consumers are behind by MAX_BACKLOG packages', later())
}

/** A stream that has begun waits for consumers a while. */
async function room(ends: Ends): Promise<void> {
  const until = performance.now() + WAIT.most
  while (ends.full() && performance.now() < until)
    await new Promise(resolve => setTimeout(resolve, WAIT.step))
  refuseWhenFull(ends)
}

function later() {
  return { headers: { 'retry-after': '1' } }
}

/** What is wrong with a message that is JSON. */
function checked(text: string, { schema }: Ends, index?: number): FieldError[] {
  return schema.check(parsed(text, index))
}

function batch(text: string): unknown[] {
  const bodies = parsed(text)
  if (!Array.isArray(bodies) || bodies.length === 0 || bodies.length > MOST_MESSAGES)
    throw new Problem(
      400,
      `an array of 1 to ${MOST_MESSAGES} messages is allowed; more as application/x-ndjson`,
    )
  return bodies
}

function located(errors: FieldError[], index: number): FieldError[] {
  return errors.map(error => ({ ...error, index }))
}

function refuse(errors: FieldError[]): void {
  const [first] = errors
  if (!first) return
  const where = `${first.index === undefined ? '' : `message ${first.index}: `}${first.path || 'it'}`
  throw new Problem(422, `${where} ${first.message}`, { errors })
}

function keyOf(c: Context): string | undefined {
  const key = c.req.header('idempotency-key')
  if (key === undefined || KEY.test(key)) return key
  throw new Problem(400, 'Idempotency-Key: 1 to 255 printable ASCII characters are allowed')
}

/** The caller's trace. */
function parentOf(c: Context): Pick<IngestRequest, 'parent'> {
  const traceparent = c.req.header('traceparent')
  if (traceparent === undefined) return {}
  const headers = { traceparent, tracestate: c.req.header('tracestate') }
  return { parent: propagation.extract(context.active(), headers) }
}

function replayed({ repeated }: Ingested): Record<string, string> {
  return repeated ? { 'idempotency-replayed': 'true' } : {}
}

function receiptsOf(answer: Ingested): Receipt[] {
  const { first, epoch } = answer
  return idsOf(answer).map((id, n) => ({ id, package: first + n, epoch }))
}
