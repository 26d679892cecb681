import {
  concat,
  defer,
  finalize,
  from,
  fromEvent,
  ignoreElements,
  merge,
  type Observable,
  of,
  retry,
  Subject,
  switchMap,
  takeUntil,
  tap,
  throwError,
  timer,
} from 'rxjs'
import { backoff } from './backoff.ts'
import { beat } from './beat.ts'
import { commit, type Settled } from './commit.ts'
import { isPassing, RedisError } from './connection.ts'
import { returnDue } from './due.ts'
import { type Handler, type HandlerLog, handle } from './handle.ts'
import type { Message } from './message.ts'
import { read } from './read.ts'
import { openSession, type Session, type SessionOptions } from './session.ts'
import { store } from './store.ts'
import { isSystemError, writeOutput } from './write.ts'

export interface ConsumeOptions extends SessionOptions {
  readonly handler: Handler
  /** What a handler's `context.log` is; default the console. */
  readonly log?: (message: Message) => HandlerLog
}

/**
 * Consumes a stream as one member of its group: reads, handles, commits and writes the output file.
 * Emits what was settled.
 *
 * A broken connection, a deadline that passed, a session that a peer has ended, or a new life of the
 * stream restarts it: everything is thrown away and derived again from Redis. Completes after `stop` is
 * aborted, or the consumer was told to drain, when what was in hand is settled, on disk, and the id is given back. Errors with what waiting
 * cannot mend: `ConsumerIdInUse`, `StreamUnusable`, `OutputDamaged`, `OutputRefused`, `InvalidName`, or an
 * unexpected `RedisError`.
 *
 * @example
 * consume({ ...options, handler: message => void console.log(message.package) }).subscribe()
 */
export function consume(given: ConsumeOptions): Observable<Settled> {
  const { events } = given
  const drained = new AbortController()
  const stop = AbortSignal.any([given.stop, drained.signal])
  const options = { ...given, stop, drain: () => drained.abort() }
  let previous: Previous | undefined
  if (!options.groups.includes(options.keys.group)) {
    return throwError(() => new Error(`group ${options.keys.group} is not among the groups of the stream`))
  }
  return defer(() => opening(options, previous)).pipe(
    switchMap(session => {
      previous = { token: session.token, idle: session.idle }
      return run(session, options)
    }),
    retry({
      delay: (error, attempt) => {
        if (!isRestart(error)) return throwError(() => error)
        const retryIn = backoff(attempt)
        events.next({ type: 'restarting', error, retryIn })
        return timer(retryIn).pipe(takeUntil(aborted(stop)))
      },
      resetOnSuccess: true,
    }),
  )
}

/** What of a session goes on in the next. */
type Previous = Pick<Session, 'token' | 'idle'>

/** Opens a session; unsubscribing calls it off. */
function opening(options: SessionOptions, previous: Previous | undefined): Observable<Session> {
  const off = new AbortController()
  const session = openSession(options, previous?.token, off.signal, previous?.idle.seconds)
  let given = false
  return from(session).pipe(
    tap(() => {
      given = true
    }),
    finalize(() => {
      if (given) return
      off.abort()
      session.then(late => late.dispose()).catch(() => {})
    }),
  )
}

/** One session, from its first beat until it is closed or lost. */
function run(session: Session, { handler, log, forward, sink }: ConsumeOptions): Observable<Settled> {
  const { consumer, settings } = session.options
  const { concurrency, handlerTimeout: timeout, maxAttempts, retryDelay, retryMaxDelay } = settings
  const finished = new Subject<void>()
  const work = read(session).pipe(
    handle(handler, {
      consumer,
      forwards: forward !== undefined,
      stores: sink !== undefined,
      concurrency,
      timeout,
      maxAttempts,
      retryDelay,
      retryMaxDelay,
      ...(log && { log }),
      signal: session.lost.signal,
      spans: session.spans,
      duration: session.durations.process,
    }),
    store(session),
    commit(session),
  )
  const finish = defer(async () => {
    await session.held.until(() => session.forgotten === session.committed)
    finished.next() // no beat may come after the end of the session
    await session.close()
  }).pipe(ignoreElements())
  return merge(
    merge(beat(session), returnDue(session), writeOutput(session)).pipe(takeUntil(finished)),
    concat(work, finish),
  ).pipe(finalize(() => session.dispose()))
}

/** Answers after which a new session finds its way: it was ended, or the stream began a new life. */
const RENEWED = new Set(['FENCED', 'EPOCH', 'NOGROUP', 'UNBLOCKED'])

function isRestart(error: unknown): boolean {
  if (isPassing(error)) return true
  if (error instanceof RedisError) return RENEWED.has(error.code)
  return isSystemError(error) // the output directory cannot be used now: no space, read-only, …
}

function aborted(signal: AbortSignal): Observable<unknown> {
  return signal.aborted ? of(undefined) : fromEvent(signal, 'abort')
}
