import type { Rate } from '@conveyor/service'
import { type Appended, packages, type Template } from '@conveyor/stream'
import {
  type BehaviorSubject,
  defer,
  exhaustMap,
  filter,
  firstValueFrom,
  NEVER,
  type Observable,
  repeat,
  switchMap,
  tap,
  timer,
} from 'rxjs'

export interface EmitOptions {
  /** Appends one request; one is in flight at a time. */
  readonly append: (templates: Template[]) => Promise<Appended>
  /** How many more packages may be appended now. */
  readonly room: () => number
  /** The next `count` packages; by default nothing but numbers. */
  readonly next?: (count: number) => Template[]
}

/** What can be changed while packages are being emitted. */
export interface Control {
  readonly rate: Rate
  readonly paused: boolean
}

/** Messages in one request when it goes flat out. */
const BATCH = 500
/** Messages in one request at most, so that Redis is never busy with one for long. */
const MAX_BATCH = 2000
/** Shortest time between requests at a given rate, ms. */
const TICK = 10
/** Ms until room is looked for again when there was none. */
const NO_ROOM = 20

/**
 * Emits sequential packages at the rate that `control` says, and what numbers they were given. At up to 100
 * a second each is a request of its own; above, those that are due go together. A tick that comes while
 * a request is under way is skipped, and what was missed is made up for, up to one second's worth.
 */
export function emit(
  control: BehaviorSubject<Control>,
  { append, room, next = count => [packages(count)] }: EmitOptions,
): Observable<Appended> {
  const send = async (wanted: number): Promise<Appended | undefined> => {
    const count = Math.min(wanted, room())
    if (count >= 1) return append(next(count))
    if (wanted >= 1) await firstValueFrom(timer(NO_ROOM))
    return undefined
  }
  return control.pipe(
    switchMap(({ rate, paused }) => {
      if (paused || rate === 0) return NEVER
      if (rate === 'max') return defer(() => send(BATCH)).pipe(repeat())
      const schedule = new Schedule(rate)
      return timer(0, Math.max(TICK, 1000 / rate)).pipe(
        exhaustMap(() => send(schedule.due())),
        tap(appended => schedule.sent(appended?.count ?? 0)),
      )
    }),
    filter(appended => appended !== undefined),
  )
}

/** How many messages are due by the clock. */
class Schedule {
  private start = performance.now()
  private done = 0

  constructor(private readonly rate: number) {}

  due(): number {
    const due = Math.round(((performance.now() - this.start) / 1000) * this.rate) + 1 - this.done
    const most = Math.max(1, this.rate)
    if (due > most) this.done += Math.ceil(due - most) // a stall is not made up for beyond one second
    return Math.min(due, Math.ceil(most), MAX_BATCH)
  }

  sent(count: number): void {
    this.done += count
  }
}
