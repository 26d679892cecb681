import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

/** A script of this folder as a process. */
export function script(name: string, args: string[]): ChildProcess {
  const path = fileURLToPath(new URL(`${name}.js`, import.meta.url))
  return spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** A service as a process, with the SDK if it is told something; it prints only its errors. */
export function service(
  name: 'producer' | 'consumer',
  env: NodeJS.ProcessEnv,
  telemetry?: NodeJS.ProcessEnv,
): ChildProcess {
  const sdk = telemetry ? ['--import', import.meta.resolve('@conveyor/telemetry')] : []
  return spawn(process.execPath, [...sdk, require.resolve(`@conveyor/${name}/main`)], {
    env: { ...process.env, LOG_LEVEL: 'error', ...telemetry, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

/** What `work` gives; fails as soon as one of the processes that it needs ends. */
export async function whileAlive<T>(children: ChildProcess[], work: Promise<T>): Promise<T> {
  const done = new AbortController()
  const deaths = children.map(async child => {
    const [code, signal] = await once(child, 'exit', { signal: done.signal })
    throw new Error(`a process that is measured ended by itself (${signal ?? `exit code ${code}`})`)
  })
  try {
    return await Promise.race([work, ...deaths])
  } finally {
    done.abort()
  }
}

/** Ends processes and waits until they are gone. */
export async function end(children: ChildProcess[], signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  await Promise.all(
    children.map(async child => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill(signal)
      await once(child, 'exit')
    }),
  )
}

/** Resident memory of a process in MB (Linux). */
export async function residentMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
}
