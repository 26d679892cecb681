import {
  answer,
  document,
  GUARDED,
  type Json,
  json,
  object,
  problem,
  ref,
  statePaths,
  text,
  whole,
} from '@conveyor/service/openapi'
import { MOST_MESSAGES } from '@conveyor/stream'

export interface OpenApiOptions {
  /** JSON Schema of a message; undefined when anything is allowed. */
  readonly schema?: Json | undefined
  readonly maxBytes: number
  /** Whether requests that change something need a token. */
  readonly token: boolean
}

const STATUS = object({
  epoch: { type: ['string', 'null'], description: 'The run; null before Redis has answered' },
  sequence: { ...whole, description: 'Last package number given out, by whichever producer' },
  produced: { ...whole, description: 'Packages given out by this process' },
  backlog: { ...whole, description: 'Packages that the slowest group has not been delivered' },
  slowestGroup: { type: ['string', 'null'] },
  streamLength: whole,
  rate: {
    oneOf: [{ type: 'number' }, { const: 'max' }],
    description: 'Messages per second that it emits itself',
  },
  paused: { type: 'boolean' },
  mix: {
    oneOf: [object({ weights: text, seed: whole }), { type: 'null' }],
    description: 'Types of packages and their weights',
  },
  backpressure: { type: 'boolean', description: 'Whether the backlog is full' },
  finished: {
    type: 'boolean',
    description: 'Whether the last package that was asked for has been given out',
  },
  trims: object({ operations: whole, removed: whole, pinnedBy: { type: ['string', 'null'] } }),
})

const SCHEMAS = {
  Receipt: object({
    id: { ...text, examples: ['1783728000000-0'], description: 'Handlers see it as `message.id`' },
    package: { ...whole, examples: [1], description: 'Its number, which the output files show' },
    epoch: { ...text, description: 'The run that the number belongs to' },
  }),
  MessageState: object(
    {
      package: whole,
      epoch: text,
      group: text,
      state: { enum: ['undelivered', 'pending', 'waiting', 'dead', 'committed', 'purged'] },
      place: { type: 'object', description: 'Where it is, until it is committed' },
      history: { type: 'array', items: { type: 'object' }, description: 'What happened to it, oldest first' },
    },
    ['package', 'epoch', 'group', 'state', 'history'],
  ),
  Status: STATUS,
}

const ANY = { description: 'Any JSON', examples: [{ hello: 'world' }] }

const REFUSALS = {
  400: problem('Not JSON, not UTF-8, or a header that cannot be used'),
  ...GUARDED,
  413: problem('Larger than MAX_BODY_BYTES'),
  415: problem('Another content type'),
  422: problem('A message is not as its schema says, or the Idempotency-Key stands for another request'),
  429: problem('Consumers are behind by MAX_BACKLOG packages: try again after Retry-After'),
  503: problem('Redis does not answer. Nothing was appended'),
  504: problem('It is not known whether it was appended: repeat it with the same Idempotency-Key'),
}
const REPLAYED = {
  'Idempotency-Replayed': { schema: text, description: '`true`: this is the first answer to that key' },
}

/** The producer's API as an OpenAPI 3.1 document: https://spec.openapis.org/oas/v3.1.1.html */
export function openApi({ schema, maxBytes, token }: OpenApiOptions): Json {
  const headers = [
    {
      name: 'Idempotency-Key',
      in: 'header',
      schema: { ...text, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' },
      description:
        'A name for the request. Made again within 24 h, at whichever producer, it appends nothing and gets its first answer.',
    },
    {
      name: 'traceparent',
      in: 'header',
      schema: text,
      description: 'W3C trace context: the message goes on in the trace of the caller',
    },
  ]
  const security = token ? { security: [{ token: [] }] } : {}
  const accepted = (description: string, content: Json) => ({
    202: { description, content, headers: REPLAYED },
    ...REFUSALS,
  })
  const control = (operationId: string, summary: string) => ({
    post: {
      operationId,
      summary,
      tags: ['Emitting'],
      ...security,
      responses: { 200: answer('What it does now', ref('Status')), ...GUARDED },
    },
  })
  return document({
    title: 'Conveyor producer',
    description: `Takes messages, gives them numbers, and appends them to a Redis stream from which each comes out exactly once. A body, or a line of a stream, has at most ${maxBytes} bytes.`,
    tags: ['Messages', 'Emitting', 'State'],
    token,
    schemas: { Message: schema ?? ANY, ...SCHEMAS },
    paths: {
      '/messages': {
        post: {
          operationId: 'postMessage',
          summary: 'Append one message, or a stream of them',
          description:
            'The body is the message. As `application/x-ndjson` each line is one, as many as you like; they are appended in parts, and those before one that is refused stay.',
          tags: ['Messages'],
          ...security,
          parameters: headers,
          requestBody: {
            required: true,
            content: { ...json(ref('Message')), 'application/x-ndjson': { schema: text } },
          },
          responses: accepted('Redis has it, and so has its disk', {
            ...json(ref('Receipt')),
            'application/x-ndjson': { schema: { ...text, description: 'A receipt for each line' } },
          }),
        },
      },
      '/messages/batch': {
        post: {
          operationId: 'postMessages',
          summary: 'Append several messages, or none of them',
          tags: ['Messages'],
          ...security,
          parameters: headers,
          requestBody: {
            required: true,
            content: json({ type: 'array', items: ref('Message'), minItems: 1, maxItems: MOST_MESSAGES }),
          },
          responses: accepted(
            'Redis has them, and so has its disk',
            json(object({ messages: { type: 'array', items: ref('Receipt') } })),
          ),
        },
      },
      '/messages/{id}': {
        get: {
          operationId: 'getMessage',
          summary: 'What has become of a message',
          tags: ['Messages'],
          parameters: [
            {
              name: 'id',
              in: 'path',
              required: true,
              schema: text,
              description: 'A package number, or an id',
              examples: { number: { value: '1' }, id: { value: '1783728000000-0' } },
            },
            { name: 'group', in: 'query', schema: text, description: 'Default: the first of GROUPS' },
          ],
          responses: {
            200: answer('Its state and its history', ref('MessageState')),
            400: problem('Neither an id nor a number, or an unknown group'),
            404: problem('Not given out in this run, or not known by its id any more'),
            429: problem('Too many ask at once'),
            503: problem('Redis does not answer'),
          },
        },
      },
      '/pause': control('pause', 'Stop emitting packages'),
      '/resume': control('resume', 'Emit packages again'),
      '/rate': {
        put: {
          operationId: 'setRate',
          summary: 'Emit so many packages a second; 0 for none',
          tags: ['Emitting'],
          ...security,
          requestBody: {
            required: true,
            content: json(
              object({ rate: { oneOf: [{ type: 'number', minimum: 0, maximum: 1e6 }, { const: 'max' }] } }),
            ),
          },
          responses: {
            200: answer('What it does now', ref('Status')),
            400: problem('Another rate'),
            ...GUARDED,
          },
        },
      },
      '/status': {
        get: {
          operationId: 'getStatus',
          summary: 'What the producer does',
          tags: ['State'],
          responses: { 200: answer('What it does now', ref('Status')) },
        },
      },
      ...statePaths('Redis answers and the groups are there'),
    },
  })
}
