import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openPool } from '@conveyor/postgres'
import { freePort } from '../free-port.ts'

export interface OwnPostgres {
  readonly url: string
  /** For people: where it is and what it is. */
  readonly label: string
  stop(): Promise<void>
}

/** Ms between two looks at whether it answers, and how long it may take to. */
const LOOK = 5000
/** Ms that a first start may take, in which the database is made. */
const PATIENCE = 120_000

const program = fileURLToPath(new URL('./pglite.js', import.meta.url))
const urlOf = (port: number) => `postgres://postgres@127.0.0.1:${port}/postgres`

/**
 * A PostgreSQL of the project's own: PGlite, with its data under `.conveyor/postgres`, started again on the same data
 * and port when it dies or does not answer. It survives being killed, but no power cut: WebAssembly cannot sync files. When one is running there already, it is joined.
 */
export async function ownPostgres(say: (text: string) => void): Promise<OwnPostgres> {
  const dir = resolve('.conveyor/postgres')
  const joined = runningPostgres(dir)
  if (joined) return { url: joined, label: `${joined} (running already)`, stop: async () => {} }
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  writeFileSync(lockFile(dir), JSON.stringify({ pid: process.pid, port }))
  let stopping = false
  let child = await start(dir, port, say)
  const pool = openPool({ url: urlOf(port), name: 'conveyor-watch', deadline: LOOK })
  const watch = async () => {
    while (!stopping) {
      await Promise.race([once(child, 'exit'), sleep(LOOK, undefined, { ref: false })])
      if (stopping) return
      if (child.exitCode === null && child.signalCode === null) {
        await pool.query('SELECT 1').catch(() => child.kill('SIGKILL'))
        continue
      }
      say(`PostgreSQL ended (${child.signalCode ?? `exit code ${child.exitCode}`}): starting it again`)
      await sleep(500)
      child = await start(dir, port, say)
    }
  }
  void watch().catch(error => say(`PostgreSQL cannot be started again: ${(error as Error).message}`))
  return {
    url: urlOf(port),
    label: `${urlOf(port)} (own, PGlite: not synced to disk)`,
    stop: async () => {
      stopping = true
      await pool.end()
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        await once(child, 'exit')
      }
      rmSync(lockFile(dir), { force: true })
    },
  }
}

/** URL of the one that another `conveyor up` runs in this folder; undefined when there is none. */
export function runningPostgres(dir = resolve('.conveyor/postgres')): string | undefined {
  try {
    const { pid, port } = JSON.parse(readFileSync(lockFile(dir), 'utf8')) as { pid: number; port: number }
    process.kill(pid, 0)
    return urlOf(port)
  } catch {
    return undefined // nobody has been there, or whoever was is gone
  }
}

/** Names who keeps the database, beside its data: `{"pid": 1234, "port": 40123}`. */
const lockFile = (dir: string) => `${dir}.json`

async function start(dir: string, port: number, say: (text: string) => void): Promise<ChildProcess> {
  const child = fork(program, [join(dir, 'data'), String(port)], {
    detached: true, // Ctrl-C reaches only the parent, which drains first
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let complaint = ''
  child.stderr?.on('data', text => {
    complaint = String(text).trimEnd()
  })
  const over = new AbortController()
  const ready = await Promise.race([
    once(child, 'message', over).then(() => true),
    once(child, 'exit', over).then(() => false),
    sleep(PATIENCE, false, over),
  ]).finally(() => over.abort())
  if (ready) return child
  child.kill('SIGKILL')
  say(`PostgreSQL does not start: ${complaint}`)
  throw new Error(`the embedded PostgreSQL does not start in ${dir}: ${complaint}`)
}
