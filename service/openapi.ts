/** A part of an OpenAPI 3.1 document: https://spec.openapis.org/oas/v3.1.1.html */
export type Json = Readonly<Record<string, unknown>>

export const text = { type: 'string' }
export const whole = { type: 'integer', minimum: 0 }
export const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })
export const object = (properties: Json, required = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
})
export const json = (schema: Json) => ({ 'application/json': { schema } })
export const answer = (description: string, schema: Json) => ({ description, content: json(schema) })

/** A refusal; its schema is {@link PROBLEM} under the name Problem. */
export const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: ref('Problem') } },
})

export const PROBLEM = object(
  {
    status: whole,
    detail: text,
    errors: {
      type: 'array',
      items: object(
        {
          path: { ...text, description: 'JSON Pointer into the message' },
          message: text,
          index: { ...whole, description: 'Which message, counted from 0' },
        },
        ['path', 'message'],
      ),
    },
    accepted: { ...whole, description: 'Of a stream: how many messages before it were appended' },
  },
  ['status', 'detail'],
)

/** What `guard` refuses. */
export const GUARDED = {
  401: problem('The token is missing or wrong'),
  403: problem('The service has no token, and the request comes from elsewhere'),
}

/** The paths of `serviceApi` that tell of the service's state. @param ready what readiness is */
export const statePaths = (ready: string) => ({
  '/healthz': {
    get: {
      operationId: 'getHealth',
      summary: 'Whether the process lives',
      tags: ['State'],
      responses: { 200: answer('It does', object({ status: { const: 'ok' } })) },
    },
  },
  '/readyz': {
    get: {
      operationId: 'getReadiness',
      summary: `Whether ${ready}`,
      tags: ['State'],
      responses: {
        200: answer('So it is', object({ status: { const: 'ready' } })),
        503: answer('It is not', object({ status: text, reason: text })),
      },
    },
  },
})

/** What every document has, around `paths` and `schemas`. @param token whether requests that change something need one */
export function document(options: {
  readonly title: string
  readonly description: string
  readonly tags: readonly string[]
  readonly paths: Json
  readonly schemas: Json
  readonly token: boolean
}): Json {
  const { title, description, tags, paths, schemas, token } = options
  return {
    openapi: '3.1.1',
    info: { title, version: '0.1.0', license: { name: 'MIT', identifier: 'MIT' }, description },
    servers: [{ url: '/' }],
    tags: tags.map(name => ({ name })),
    paths,
    components: {
      schemas: { ...schemas, Problem: PROBLEM },
      ...(token && { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } }),
    },
  }
}
