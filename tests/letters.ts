import { type ChildProcess, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { Failure } from '../stream/failure.ts'
import { decode, type Past, returnedOf } from '../stream/message.ts'
import type { Outcome } from '../stream/outcome.ts'
import type { Session } from '../stream/session.ts'
import { type Bench, settle } from './redis.ts'

const main = fileURLToPath(new URL('../cli/dist/main.js', import.meta.url))

/** What a message dies of. */
export interface Death {
  readonly reason?: string
  readonly detail?: string
  readonly stack?: string
  readonly replays?: number
}

/** Appends packages and has each die; returns the ids of the letters, those before included. */
export async function bury(
  b: Bench,
  session: Session,
  count: number,
  death: Death = {},
  payload?: string,
): Promise<string[]> {
  await b.fill(count, payload)
  await dieAgain(b, session, count, death)
  return letterIds(b)
}

/** Has up to `count` messages die that are in the stream; returns how many. */
export async function dieAgain(
  b: Bench,
  session: Session,
  count: number,
  death: Death = {},
): Promise<number> {
  const { reason = 'handler failed', detail = 'Error: no such thing', stack = '' } = death
  const { consumer } = session.options
  const entries = await b.receive(consumer, count)
  const outcomes: Outcome[] = []
  for (const entry of entries) {
    const [[, fields]] = (await b.redis.xrange(b.keys.stream, entry, entry)) as [[string, string[]]]
    const { package: number } = decode(entry, fields, 1)
    const { id, replays, failures }: Pick<Past, 'id' | 'replays' | 'failures'> = returnedOf(fields) ?? {
      id: entry,
      replays: death.replays ?? 0,
      failures: [],
    }
    const failure: Failure = { attempt: 1, at: Date.now(), consumer, reason, detail }
    const past: Past = { id, attempt: 1, replays, failures: [...failures, failure] }
    outcomes.push({ entry, package: number, kind: 'dead', reason, detail, stack, past })
  }
  if (outcomes.length > 0) await settle(session, outcomes)
  return outcomes.length
}

export async function letterIds({ redis, keys }: Bench): Promise<string[]> {
  return (await redis.xrange(keys.dead, '-', '+')).map(([id]) => id)
}

/** Numbers of the packages that were replayed, as often as they are in the stream, in its order. */
export async function returned({ redis, keys }: Bench): Promise<number[]> {
  const entries = await redis.xrange(keys.stream, '-', '+')
  return entries.flatMap(([id, fields]) => (returnedOf(fields) ? [decode(id, fields, 1).package] : []))
}

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ran>
}

/** Starts `conveyor dlq <args>` for the bench's stream and group. */
export function start(b: Bench, args: readonly string[], url = b.url, input = ''): Running {
  const { stream, group } = b.keys
  const [name = '', ...rest] = args
  const child = spawn(
    process.execPath,
    [main, 'dlq', name, ...rest, '--redis-url', url, '--stream', stream, '--group', group],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const closed = new Promise<Pick<Ran, 'code' | 'signal'>>(resolve =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  )
  const gone = () => '' // a test closed it
  const ended = Promise.all([closed, text(child.stdout).catch(gone), text(child.stderr)]).then(
    ([exit, stdout, stderr]) => ({ ...exit, stdout, stderr }),
  )
  return { child, ended }
}

/** Runs it to its end. */
export function dlq(b: Bench, args: readonly string[], url?: string, input?: string): Promise<Ran> {
  return start(b, args, url, input).ended
}
