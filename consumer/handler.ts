import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '@conveyor/service'
import type { Handler } from '@conveyor/stream'
import { z } from 'zod'
import demo from './demo-handler.ts'

/** A handler, and what its module says about how to call it. */
export interface LoadedHandler {
  readonly handler: Handler
  /** Calls at the same time, when it is asynchronous. */
  readonly concurrency?: number | undefined
  /** Ms until an asynchronous call is given up; 0 for never. */
  readonly timeout?: number | undefined
  /** Attempts at a package before it goes to the dead letters. */
  readonly maxAttempts?: number | undefined
}

/** Sends on what came by HTTP, or else all that a producer has said: one message, also when that is an array. */
const sendOn: Handler = ({ payload: { package: _number, body, ...rest } }) => [
  body === undefined ? rest : body,
]
/** Does nothing but let the package's line be written. */
const standard: Handler = () => {}

const wholeNumber = (min: number, max: number) => {
  const message = `a whole number from ${min} to ${max} is allowed`
  return z.int(message).min(min, message).max(max, message).optional()
}

/** What a module may export besides its handler. */
const exported = z.object({
  concurrency: wholeNumber(1, 10_000),
  timeout: wholeNumber(0, 86_400_000),
  maxAttempts: wholeNumber(1, 1000),
})

/**
 * Loads a handler: from a module's default export, the demonstration by the name `demo`, or, without a path, the
 * handler that only has the line written, or with `forwards` the message sent on. Throws `ConfigError` when the module
 * cannot be loaded or what it exports cannot be used.
 */
export async function loadHandler(path: string | undefined, forwards = false): Promise<LoadedHandler> {
  if (path === undefined) return { handler: forwards ? sendOn : standard }
  if (path === 'demo') return { handler: demo }
  const name = `HANDLER=${JSON.stringify(path)}`
  let module: Record<string, unknown>
  try {
    module = await import(pathToFileURL(resolve(path)).href)
  } catch (error) {
    throw new ConfigError(`${name}: cannot be loaded: ${reasonOf(error)}`)
  }
  if (typeof module.default !== 'function') {
    throw new ConfigError(`${name}: a module whose default export is a function is allowed`)
  }
  const options = exported.safeParse(module)
  if (!options.success) {
    const [issue] = options.error.issues
    const option = String(issue?.path[0])
    throw new ConfigError(`${name}: it exports ${option} = ${shown(module[option])}: ${issue?.message}`)
  }
  return { handler: module.default as Handler, ...options.data }
}

function reasonOf(thrown: unknown): string {
  const { code, message }: NodeJS.ErrnoException =
    thrown instanceof Error ? thrown : new Error(String(thrown))
  const first = message.split('\n')[0] as string
  if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes('@conveyor/')) return first
  return `${first}: keep it in a folder inside the project, or install the package beside it`
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  return typeof value === 'object' || typeof value === 'function' ? typeof value : String(value)
}
