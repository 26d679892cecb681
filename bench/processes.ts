import { type ChildProcess, spawn } from 'node:child_process'
import { once, setMaxListeners } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

/** All that were started and have not ended. */
const alive = new Set<ChildProcess>()

/** Starts a process that {@link endAll} ends if nobody else does. */
export function start(...[command, args, options]: Parameters<typeof spawn>): ChildProcess {
  const child = spawn(command, args, options)
  alive.add(child)
  child.once('exit', () => alive.delete(child))
  child.once('error', () => alive.delete(child))
  return child
}

export function endAll(): Promise<void> {
  return end([...alive], 'SIGKILL')
}

/** A script of this folder as a process; what it sends comes as messages. */
export function script(name: string, args: string[], node: string[] = []): ChildProcess {
  const path = fileURLToPath(new URL(`${name}.js`, import.meta.url))
  return start(process.execPath, [...node, path, ...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
}

export interface ServiceOptions {
  readonly env: NodeJS.ProcessEnv
  /** With the SDK, which is told this. */
  readonly telemetry?: NodeJS.ProcessEnv | undefined
  /** Options of Node.js. */
  readonly node?: string[]
}

/** A service as a process; it prints only its errors. */
export function service(
  name: 'producer' | 'consumer',
  { env, telemetry, node = [] }: ServiceOptions,
): ChildProcess {
  const sdk = telemetry ? ['--import', import.meta.resolve('@conveyor/telemetry')] : []
  return start(process.execPath, [...node, ...sdk, require.resolve(`@conveyor/${name}/main`)], {
    env: { ...process.env, LOG_LEVEL: 'error', ...telemetry, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

/** What `work` gives; fails as soon as one of the processes that it needs ends. */
export async function whileAlive<T>(children: ChildProcess[], work: Promise<T>): Promise<T> {
  const done = new AbortController()
  setMaxListeners(0, done.signal)
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

/** Processor time that a process has used, ms (Linux, which counts in hundredths of a second). */
export async function processorTime(pid: number): Promise<number> {
  const [user, system] =
    (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ').slice(11, 13) ?? []
  return 10 * (Number(user) + Number(system))
}
