import { findTable, type Pool, type SourceRuns, SourceTable } from '@conveyor/postgres'
import {
  backoff,
  RedisError,
  SOURCE_CALL,
  type SourceCursor,
  type SourcePosition,
  type SourceRow,
  StreamUnusable,
} from '@conveyor/stream'
import {
  BehaviorSubject,
  concat,
  concatMap,
  defer,
  EMPTY,
  expand,
  filter,
  first,
  from,
  ignoreElements,
  last,
  type Observable,
  of,
  race,
  repeat,
  retry,
  switchMap,
  takeWhile,
  tap,
  throwError,
  timer,
} from 'rxjs'
import type { SourceTableName } from './config.ts'

/** What a source does, and why it does no more than that. */
export interface SourceState {
  readonly state: 'idle' | 'sending' | 'waiting' | 'failing'
  readonly reason: string | null
}

export interface SourceOptions {
  readonly of: SourceTableName
  readonly pool: Pool
  readonly runs: SourceRuns
  readonly cursor: SourceCursor
  /** Rows that may be sent before consumers are too far behind. */
  readonly room: () => number
  /** Rows in a call. */
  readonly batch: number
  /** Ms between two looks for new rows; 0 for none by itself. */
  readonly poll: number
  /** Told when it begins to fail, or to wait for transactions, and why. */
  readonly note: (state: SourceState) => void
}

/** Ms between two looks for runs, which another instance may have been asked for. */
const LOOK = 1000
/** Ms until room is looked for again when there was none. */
const NO_ROOM = 20
/** Rows that are asked for before it is known how large they are. */
const FIRST_ROWS = 16

const IDLE: SourceState = { state: 'idle', reason: null }
const SENDING: SourceState = { state: 'sending', reason: null }

/**
 * Sends the rows of one table. What is to be sent stands in PostgreSQL, what has been sent in Redis, and nothing in this
 * process: after any error, and in any number of processes, it derives from the two what is left.
 */
export class Source {
  /** What it does now. */
  state: SourceState = IDLE
  /** Whether there may be something to do. */
  private readonly asked = new BehaviorSubject(true)
  /** Rows that probably fit into a page: how large they are is known only from those that came. */
  private fitting = FIRST_ROWS

  constructor(private readonly options: SourceOptions) {}

  /** Works until it is unsubscribed. Errors with `StreamUnusable`, and `RedisError` for what does not pass by itself. */
  work(): Observable<never> {
    const { poll } = this.options
    return defer(() => this.pass()).pipe(
      repeat({ delay: () => race(this.asked.pipe(filter(Boolean)), timer(poll || LOOK)) }),
      retry({ delay: (error, attempt) => this.again(error, attempt), resetOnSuccess: true }),
      ignoreElements(),
    )
  }

  /** Has it look for runs at once. */
  ask(): void {
    this.asked.next(true)
  }

  /** Sends what is to be sent now; emits how far it has come. */
  private pass(): Observable<SourcePosition> {
    this.asked.next(false)
    return defer(() => this.task()).pipe(
      switchMap(({ at, goal, table }) =>
        table ? concat(this.settle(table), this.send(table, at, goal)) : of(at),
      ),
      tap({ complete: () => this.say(IDLE) }),
    )
  }

  /** Where it is, and where to. Without a table there is nothing to send. */
  private async task(): Promise<{ at: SourcePosition; goal: string; table?: SourceTable }> {
    const { of, pool, runs, cursor, poll } = this.options
    const at = await cursor.position()
    const run = await runs.goal(at.epoch, of.name)
    if (run === undefined && poll === 0) return { at, goal: at.last }
    const table = new SourceTable(pool, await findTable(pool, of), of.name)
    const seen = poll === 0 ? '0' : await table.last()
    const goal = higher(run ?? '0', seen)
    // A run is to be noted as finished, though there be nothing left to send.
    return run !== undefined || BigInt(goal) > BigInt(at.last) ? { at, goal, table } : { at, goal }
  }

  /** Completes when no row can be added any more below those that are seen. */
  private settle(table: SourceTable): Observable<never> {
    return table.settled().pipe(
      tap(
        left =>
          left > 0 &&
          this.say(waiting(`transactions that may write to the table and are still open: ${left}`)),
      ),
      ignoreElements(),
    )
  }

  private send(table: SourceTable, start: SourcePosition, goal: string): Observable<SourcePosition> {
    const { of: source, runs } = this.options
    return of(start).pipe(
      expand(at => this.next(table, at, goal), 1),
      takeWhile(({ epoch }) => epoch === start.epoch, true),
      last(),
      concatMap(async at => {
        // A new life of the stream has runs of its own.
        if (at.epoch === start.epoch) await runs.finish(at.epoch, source.name, goal)
        return at
      }),
    )
  }

  /** Sends the next rows, as soon as consumers have come along; completes when there are none. */
  private next(table: SourceTable, at: SourcePosition, goal: string): Observable<SourcePosition> {
    const { batch, cursor } = this.options
    return this.room().pipe(
      switchMap(room => this.page(table, at.last, goal, Math.min(batch, room))),
      switchMap(rows => (rows.length === 0 ? EMPTY : from(cursor.append(rows, at)))),
    )
  }

  /**
   * Rows of which PostgreSQL makes JSON cost their time also if they do not fit then. So it is asked for twice as many
   * when all came, and for half when fewer did, or none in time.
   */
  private async page(table: SourceTable, after: string, upTo: string, most: number): Promise<SourceRow[]> {
    const { fitting } = this
    const asked = Math.min(most, fitting)
    this.fitting = Math.max(1, fitting >> 1)
    const rows = await table.page(after, upTo, { rows: asked, bytes: SOURCE_CALL.size })
    if (rows.length === asked) this.fitting = Math.min(SOURCE_CALL.rows, Math.max(fitting, 2 * asked))
    else if (rows.length === 0) this.fitting = fitting // there are no more
    return rows
  }

  private room(): Observable<number> {
    return defer(() => of(this.options.room())).pipe(
      tap(room => this.say(room > 0 ? SENDING : waiting('consumers are behind by MAX_BACKLOG packages'))),
      repeat({ delay: NO_ROOM }),
      first(room => room > 0),
    )
  }

  private again(error: Error, attempt: number): Observable<unknown> {
    if (error instanceof StreamUnusable || error instanceof RedisError) return throwError(() => error)
    this.say({ state: 'failing', reason: error.message })
    return timer(backoff(attempt))
  }

  private say(state: SourceState): void {
    const before = this.state
    this.state = state
    if (state.state !== before.state && state.state !== 'idle' && state.state !== 'sending')
      this.options.note(state)
  }
}

function waiting(reason: string): SourceState {
  return { state: 'waiting', reason }
}

function higher(a: string, b: string): string {
  return BigInt(a) > BigInt(b) ? a : b
}
