import { MOST_SAMPLES } from '@conveyor/postgres'
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

const rowId = { ...text, pattern: '^\\d+$', examples: ['4711'], description: 'Id of a row' }
const orNull = (schema: Json) => ({ oneOf: [schema, { type: 'null' }] })
const share = { type: 'number', minimum: 0, maximum: 1 }

const SCHEMAS = {
  Source: object({
    name: { ...text, examples: ['system-1'] },
    table: { ...text, examples: ['conveyor.system_1_orders'] },
    state: { enum: ['idle', 'sending', 'waiting', 'failing'] },
    reason: { type: ['string', 'null'], description: 'Why it waits or fails' },
    lastRow: orNull({
      ...rowId,
      description: 'Id of the last row that was sent; null while Redis does not answer',
    }),
    rowsWaiting: orNull({ ...whole, maximum: 1e6, description: 'Rows behind it, counted up to 1,000,000' }),
    lastRun: orNull(ref('Run')),
  }),
  Run: object({
    id: text,
    source: text,
    epoch: { ...text, description: 'The run of the stream that it belongs to' },
    after: { ...rowId, description: 'Rows behind this one …' },
    upTo: { ...rowId, description: '… and up to this one are sent' },
    state: {
      enum: ['running', 'done', 'abandoned'],
      description: 'abandoned: the stream began a new life before it was done',
    },
    startedAt: { ...text, format: 'date-time' },
    finishedAt: { type: ['string', 'null'], format: 'date-time' },
  }),
  Samples: {
    ...object(
      {
        count: { ...whole, minimum: 1, maximum: MOST_SAMPLES, examples: [1000] },
        share: { ...share, default: 0.5, description: 'Part of them whose security_check is true' },
        seed: { ...whole, maximum: 2 ** 32 - 1, description: 'The same seed gives the same orders' },
      },
      ['count'],
    ),
    additionalProperties: false,
  },
  Added: object({
    source: text,
    count: whole,
    passing: { ...whole, description: 'Those whose security_check is true' },
    first: rowId,
    last: rowId,
    share,
    seed: whole,
  }),
  Status: object({
    epoch: { type: ['string', 'null'], description: 'The run; null before Redis has answered' },
    sequence: { ...whole, description: 'Last package number given out, by whoever appends to the stream' },
    sent: { ...whole, description: 'Rows that this process has sent' },
    backlog: { ...whole, description: 'Packages that the slowest group has not been delivered' },
    slowestGroup: { type: ['string', 'null'] },
    backpressure: { type: 'boolean', description: 'Whether the backlog is full' },
    sources: {
      type: 'object',
      additionalProperties: object({ state: text, reason: { type: ['string', 'null'] } }),
    },
  }),
}

const AWAY = { 503: problem('Redis or PostgreSQL does not answer: try again after Retry-After') }
const MISSING = { 404: problem('There is no such source') }
const UNFIT = { 409: problem('The table is not as it must be') }
const name = { name: 'name', in: 'path', required: true, schema: { ...text, examples: ['system-1'] } }

/** The API of the sources as an OpenAPI 3.1 document. @param token whether requests that change something need one */
export function openApi({ token }: { readonly token: boolean }): Json {
  const security = token ? { security: [{ token: [] }] } : {}
  const get = (
    operationId: string,
    summary: string,
    tag: string,
    responses: Json,
    parameters: Json[] = [],
  ) => ({
    get: { operationId, summary, tags: [tag], parameters, responses },
  })
  return document({
    title: 'Conveyor sources',
    description:
      'Appends the rows of PostgreSQL tables to a Redis stream, each once and in the order of their ids.',
    tags: ['Sources', 'State'],
    token,
    schemas: SCHEMAS,
    paths: {
      '/sources': get('getSources', 'All sources', 'Sources', {
        200: answer('They', object({ sources: { type: 'array', items: ref('Source') } })),
      }),
      '/sources/{name}': get(
        'getSource',
        'A source: how far it has come',
        'Sources',
        { 200: answer('It', ref('Source')), ...MISSING },
        [name],
      ),
      '/sources/{name}/orders': {
        post: {
          operationId: 'postOrders',
          summary: 'Add sample orders to a table that has product, price and security_check',
          description: 'All are added, or none.',
          tags: ['Sources'],
          ...security,
          parameters: [name],
          requestBody: { required: true, content: json(ref('Samples')) },
          responses: {
            201: answer('They are in the table', ref('Added')),
            400: problem('Not JSON'),
            ...GUARDED,
            ...MISSING,
            ...UNFIT,
            413: problem('A larger body'),
            415: problem('Another content type'),
            422: problem('A field is not as it must be'),
            ...AWAY,
            504: problem('PostgreSQL did not answer, and may have added them'),
          },
        },
      },
      '/sources/{name}/runs': {
        post: {
          operationId: 'postRun',
          summary: 'Send what is in the table by now',
          description:
            'It goes on until it is done, also when the process ends that was asked. Started twice, it sends nothing twice.',
          tags: ['Sources'],
          ...security,
          parameters: [name],
          responses: { 202: answer('It has begun', ref('Run')), ...GUARDED, ...MISSING, ...UNFIT, ...AWAY },
        },
      },
      '/sources/{name}/runs/{id}': get(
        'getRun',
        'What has become of a run',
        'Sources',
        { 200: answer('It', ref('Run')), 404: problem('There is no such source or run'), ...AWAY },
        [name, { name: 'id', in: 'path', required: true, schema: text }],
      ),
      '/runs': {
        post: {
          operationId: 'postRuns',
          summary: 'Send what is in the tables of all sources by now',
          tags: ['Sources'],
          ...security,
          responses: {
            202: answer('They have begun', object({ runs: { type: 'array', items: ref('Run') } })),
            ...GUARDED,
            ...UNFIT,
            ...AWAY,
          },
        },
      },
      '/status': get('getStatus', 'What this process does', 'State', { 200: answer('It', ref('Status')) }),
      ...statePaths('PostgreSQL and Redis answer and the groups are there'),
    },
  })
}
