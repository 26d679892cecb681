import { z } from 'zod'
import { withoutPassword } from './password.ts'

/** A setting that cannot be used. The message is one line: which one, its value, what is allowed. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ConfigError'
  }
}

/**
 * Reads settings from environment variables. `schema` has one key a variable; an empty variable counts as
 * not set. Throws {@link ConfigError} for the first that cannot be used.
 */
export function readConfig<S extends z.ZodType>(
  schema: S,
  env: NodeJS.ProcessEnv = process.env,
): z.output<S> {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const result = schema.safeParse(set)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const name = String(issue?.path[0] ?? '')
  const value = set[name] === undefined ? '' : `=${JSON.stringify(shown(name, set[name]))}`
  throw new ConfigError(`${name}${value}: ${issue?.message ?? 'not valid'}`)
}

/** A password in a URL, or a token, is not repeated in messages. */
function shown(name: string, value: string): string {
  if (name.endsWith('_TOKEN')) return '***'
  return name.endsWith('_URL') ? withoutPassword(value) : value
}

/** A variable that holds a whole number from `min` to `max`. */
export function integer(fallback: number, min: number, max: number) {
  return wholeNumber(min, max).default(fallback)
}

/** The same without a default: undefined when it is not set. */
export function optionalInteger(min: number, max: number) {
  return wholeNumber(min, max).optional()
}

function wholeNumber(min: number, max: number) {
  const message = `a whole number from ${min} to ${max} is allowed`
  return z
    .string()
    .regex(/^-?\d+$/, message)
    .transform(Number)
    .pipe(z.number().min(min, message).max(max, message))
}

/** A variable that names a stream, a group or a consumer. */
export function name(fallback?: string) {
  const schema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ - are allowed')
  return fallback === undefined ? schema.optional() : schema.default(fallback)
}

/** A variable that lists names, separated by commas; each counts once. */
export function names(fallback: string) {
  return z
    .string()
    .regex(
      /^[A-Za-z0-9_-]{1,64}(,[A-Za-z0-9_-]{1,64})*$/,
      'names separated by commas, each 1 to 64 of A-Z a-z 0-9 _ -, are allowed',
    )
    .default(fallback)
    .transform(list => [...new Set(list.split(','))])
}

const MAX_RATE = 1_000_000
const RATE = `a number from 0 to ${MAX_RATE} (messages per second), or max, is allowed`

/** Messages per second, or flat out. */
export type Rate = number | 'max'

/** Reads a rate from text. Throws a zod error whose message says what is allowed. */
export const rate = z
  .string()
  .refine(text => text === 'max' || (/^\d+(\.\d+)?$/.test(text) && Number(text) <= MAX_RATE), RATE)
  .transform((text): Rate => (text === 'max' ? text : Number(text)))

/** Variables that every service knows. */
export const common = {
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\/\S+$/, 'a URL such as redis://127.0.0.1:6379 is allowed')
    .default('redis://127.0.0.1:6379'),
  STREAM: name('number_stream') as z.ZodDefault<z.ZodString>,
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      error: 'trace, debug, info, warn, error, fatal or silent is allowed',
    })
    .default('info'),
  /** Ms that a command to Redis may wait for its answer. */
  COMMAND_TIMEOUT_MS: integer(5000, 100, 600_000),
  /** Ms that a service may take to finish what is in hand after a signal. */
  DRAIN_TIMEOUT_MS: integer(8000, 0, 600_000),
}

/** A variable that holds a token. */
export const token = z
  .string()
  .regex(/^[\x21-\x7e]{16,256}$/, '16 to 256 printable ASCII characters are allowed')
  .optional()

/** Variables of services with an API that changes something. */
export const apiSettings = {
  HOST: z.string().default('127.0.0.1'),
  /** What requests that change something must carry. */
  API_TOKEN: token,
}
