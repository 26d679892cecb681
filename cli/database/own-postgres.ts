import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../free-port.ts'
import { type DatabaseLock, PROGRAM } from './lock.ts'

export interface OwnPostgres {
  readonly url: string
  /** For people: where it is and what it is. */
  readonly label: string
  stop(): Promise<void>
}

/** What a process with PGlite says over its channel. */
interface Said {
  readonly ready?: true
  readonly takenBy?: DatabaseLock
}

/** Ms between two questions, and that an answer may take: a statement is not interrupted by them. */
const LOOK = 5000
const ANSWER = 60_000
/** Ms that a first start may take, in which the database is made. */
const PATIENCE = 120_000
/** Ms that ending may take. */
const GRACE = 10_000

const program = fileURLToPath(new URL(`./${PROGRAM}`, import.meta.url))
const urlOf = (port: number) => `postgres://postgres@127.0.0.1:${port}/postgres`

/**
 * A PostgreSQL of the project's own: PGlite, with its data under `.conveyor/postgres`, started again on the same data
 * and port when it dies or does not answer. It survives being killed, but no power cut: WebAssembly cannot sync files.
 * When one is running there already, it is joined.
 */
export async function ownPostgres(say: (text: string) => void): Promise<OwnPostgres> {
  const dir = resolve('.conveyor/postgres')
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const begun = await begin(dir, port)
  if ('takenBy' in begun) {
    const url = urlOf(begun.takenBy.port)
    return { url, label: `${url} (running already)`, stop: async () => {} }
  }
  let { child } = begun
  let stopping = false
  const watch = async () => {
    while (!stopping) {
      await Promise.race([gone(child), sleep(LOOK, undefined, { ref: false })])
      if (stopping) return
      if (isAlive(child)) {
        if (!(await answers(child))) child.kill('SIGKILL')
        continue
      }
      say(`PostgreSQL ended (${child.signalCode ?? `exit code ${child.exitCode}`}): starting it again`)
      await sleep(500)
      const again = await begin(dir, port)
      if ('takenBy' in again) throw new Error(`another process works in ${dir}`)
      child = again.child
    }
  }
  void watch().catch(error => say(`PostgreSQL cannot be started again: ${(error as Error).message}`))
  return {
    url: urlOf(port),
    label: `${urlOf(port)} (own, PGlite: not synced to disk)`,
    stop: async () => {
      stopping = true
      if (!isAlive(child)) return
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), GRACE)
      await gone(child)
      clearTimeout(late)
    },
  }
}

const isAlive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null

async function gone(child: ChildProcess): Promise<void> {
  if (isAlive(child)) await once(child, 'exit')
}

async function answers(child: ChildProcess): Promise<boolean> {
  const over = new AbortController()
  child.send({ question: true }, () => {}) // one that has just ended cannot be asked, and that is seen
  const found = await Promise.race([
    once(child, 'message', over).then(() => true),
    once(child, 'exit', over).then(() => true),
    sleep(ANSWER, false, { signal: over.signal, ref: false }),
  ])
  over.abort()
  return found
}

async function begin(
  dir: string,
  port: number,
): Promise<{ child: ChildProcess } | { takenBy: DatabaseLock }> {
  const child = fork(program, [join(dir, 'data'), String(port)], {
    detached: true, // Ctrl-C reaches only the parent, which drains first
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let complaint = ''
  child.stderr?.on('data', text => {
    complaint = String(text).trimEnd()
  })
  const over = new AbortController()
  const said = await Promise.race([
    once(child, 'message', over).then(([message]) => message as Said),
    once(child, 'exit', over).then((): Said => ({})),
    sleep(PATIENCE, {} as Said, over),
  ]).finally(() => over.abort())
  if (said.ready) return { child }
  if (said.takenBy) return { takenBy: said.takenBy }
  child.kill('SIGKILL')
  throw new Error(`the embedded PostgreSQL does not start in ${dir}: ${complaint}`)
}
