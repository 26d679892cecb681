import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename, delimiter, resolve } from 'node:path'
import { runCommand } from './run-command.ts'

/** The oldest server that the scripts run on: XAUTOCLAIM that reports deleted entries came with 7.0. */
export const MINIMUM_VERSION = '7.0'

export interface RedisBinary {
  /** Absolute path of the executable. */
  path: string
  /** As the server prints it, e.g. `7.0.15`. */
  version: string
  kind: 'redis' | 'valkey'
}

/** Asks an executable for its version. Undefined when it is no Redis or Valkey server, or does not run. */
export async function inspectBinary(path: string, env: NodeJS.ProcessEnv): Promise<RedisBinary | undefined> {
  const { ok, lines } = await runCommand(path, ['--version'], { env, timeoutMs: 10_000 })
  const text = lines.join('\n')
  const version = /\bv=(\d+\.\d+\S*)/.exec(text)?.[1]
  if (!ok || version === undefined) return undefined
  return { path, version, kind: /valkey/i.test(text + basename(path)) ? 'valkey' : 'redis' }
}

export function isNewEnough({ version }: RedisBinary): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = MINIMUM_VERSION.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

/** Every executable file called `name`, in the order of PATH and then of `folders`. */
export async function findExecutables(
  name: string,
  env: NodeJS.ProcessEnv,
  folders: readonly string[] = [],
): Promise<string[]> {
  const path = (env.PATH ?? '').split(delimiter).filter(folder => folder !== '')
  const found: string[] = []
  for (const folder of new Set([...path, ...folders])) {
    const file = resolve(folder, name)
    if (await isExecutable(file)) found.push(file)
  }
  return found
}

export function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}
