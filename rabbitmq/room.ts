import { backlogOf, backoff, connected, isPassing } from '@conveyor/stream'
import {
  BehaviorSubject,
  catchError,
  concat,
  defer,
  map,
  type Observable,
  of,
  repeat,
  switchMap,
  throwError,
  timer,
} from 'rxjs'

/** What was seen at a look at the stream: how far its slowest group is behind, or why Redis does not say. */
export type Look = { readonly backlog: number; readonly epoch: string } | { readonly away: Error }

export interface LookOptions {
  readonly url: string
  readonly stream: string
  /** One at least; those that are not there yet are created. */
  readonly groups: string[]
  /** Ms that a command may wait for its answer. */
  readonly deadline: number
}

/** Ms between two looks. */
const LOOK = 250

/**
 * Looks at the stream again and again. A lost connection is told of and survived; errors with what waiting cannot
 * mend: `StreamUnusable`, or an unexpected `RedisError`.
 */
export function looks({ url, stream, groups, deadline }: LookOptions): Observable<Look> {
  let attempt = 0
  return connected(url, 'conveyor-rabbitmq', deadline).pipe(
    switchMap(redis => defer(() => backlogOf(redis, stream, groups)).pipe(repeat({ delay: LOOK }))),
    map(({ backlog, epoch }) => {
      attempt = 0
      return { backlog, epoch }
    }),
    catchError((error: Error, again: Observable<Look>) => {
      if (!isPassing(error)) return throwError(() => error)
      attempt++
      return concat(of({ away: error }), timer(backoff(attempt)).pipe(switchMap(() => again)))
    }),
  )
}

/** Whether there is room for more in the stream: Redis answers, and its slowest group is not too far behind. */
export class Room {
  /** Emits when it changes; false until the first look. */
  readonly open = new BehaviorSubject(false)
  private away = true
  private behind = 0
  /** Appended since the last look. */
  private since = 0

  /** @param most packages that the slowest group may be behind */
  constructor(private readonly most: number) {}

  get full(): boolean {
    return this.behind + this.since >= this.most
  }

  see(look: Look): void {
    this.away = 'away' in look
    if (!('away' in look)) {
      this.behind = look.backlog
      this.since = 0
    }
    this.decide()
  }

  /** Notes a message that was appended. */
  fill(): void {
    this.since++
    this.decide()
  }

  private decide(): void {
    const open = !this.away && !this.full
    if (open !== this.open.value) this.open.next(open)
  }
}
