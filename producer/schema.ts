import { readFile } from 'node:fs/promises'
import { ConfigError, type FieldError } from '@conveyor/service'
import { Ajv, type ErrorObject } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'

/** What messages have to be like. */
export interface MessageSchema {
  /** The JSON Schema itself; undefined when anything is allowed. */
  readonly schema?: Readonly<Record<string, unknown>>
  /** What is wrong with a message; nothing when it is as it should be. */
  check(body: unknown): FieldError[]
}

/** Errors that are told at once. */
const MOST = 20

/**
 * Reads a JSON Schema (2020-12, or draft-07 when its `$schema` says so) from a file; without a path, everything is
 * allowed. Throws `ConfigError`.
 */
export async function loadSchema(path: string | undefined): Promise<MessageSchema> {
  if (path === undefined) return { check: () => [] }
  const name = `MESSAGE_SCHEMA=${JSON.stringify(path)}`
  try {
    const schema = JSON.parse(await readFile(path, 'utf8'))
    const Dialect = String(schema.$schema).includes('draft-07') ? Ajv : Ajv2020
    const ajv = new Dialect({ allErrors: true, strict: false })
    formats.default(ajv)
    const validate = ajv.compile(schema)
    return {
      schema,
      check: body => (validate(body) ? [] : (validate.errors ?? []).slice(0, MOST).map(errorOf)),
    }
  } catch (error) {
    throw new ConfigError(
      `${name}: a file with a JSON Schema is allowed: ${(error as Error).message.split('\n')[0]}`,
    )
  }
}

function errorOf({ instancePath, keyword, params, message = 'not allowed' }: ErrorObject): FieldError {
  if (keyword === 'required')
    return { path: `${instancePath}/${escaped(params.missingProperty)}`, message: 'is required' }
  if (keyword === 'additionalProperties')
    return { path: `${instancePath}/${escaped(params.additionalProperty)}`, message: 'is not allowed' }
  if (keyword === 'enum')
    return { path: instancePath, message: `must be one of ${JSON.stringify(params.allowedValues)}` }
  return { path: instancePath, message }
}

function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
