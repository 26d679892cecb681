import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '@conveyor/service'
import type { Handler } from '@conveyor/stream'

/** Does nothing but let the package's line be written. */
const standard: Handler = () => {}

/**
 * Loads the handler from a module's default export; without a path, the handler that only has the line
 * written. Throws `ConfigError` when the module cannot be loaded or exports no function.
 */
export async function loadHandler(path: string | undefined): Promise<Handler> {
  if (path === undefined) return standard
  let module: { default?: unknown }
  try {
    module = await import(pathToFileURL(resolve(path)).href)
  } catch (error) {
    throw new ConfigError(
      `HANDLER=${JSON.stringify(path)}: cannot be loaded: ${(error as Error).message.split('\n')[0]}`,
    )
  }
  if (typeof module.default !== 'function') {
    throw new ConfigError(
      `HANDLER=${JSON.stringify(path)}: a module whose default export is a function is allowed`,
    )
  }
  return module.default as Handler
}
