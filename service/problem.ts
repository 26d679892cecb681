import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'

/** What is wrong with one field. */
export interface FieldError {
  /** JSON Pointer into the message's body (RFC 6901); '' for all of it. */
  readonly path: string
  readonly message: string
  /** In a batch or a stream: which message, counted from 0. */
  readonly index?: number
}

export interface ProblemOptions {
  readonly errors?: readonly FieldError[]
  /** In a stream: how many messages before it were appended. */
  readonly accepted?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer that refuses a request, as `application/problem+json` (RFC 9457). `message` is its one line for people. */
export class Problem extends Error {
  constructor(
    readonly status: ContentfulStatusCode,
    detail: string,
    readonly options: ProblemOptions = {},
  ) {
    super(detail)
    this.name = 'Problem'
  }

  respond(c: Context): Response {
    const { errors, accepted, headers } = this.options
    const body = { status: this.status, detail: this.message, errors, accepted }
    return c.body(JSON.stringify(body), this.status, {
      'content-type': 'application/problem+json',
      ...headers,
    })
  }
}
