import {
  defer,
  distinctUntilChanged,
  map,
  type Observable,
  repeat,
  retry,
  startWith,
  switchMap,
  timer,
} from 'rxjs'
import { backlogOf } from './backlog.ts'
import { backoff } from './backoff.ts'
import { connected } from './connection.ts'
import type { Keys } from './keys.ts'

/** Where a stage sends what its handler returns. */
export interface Forward {
  readonly keys: Keys
  /** Groups of that stream which must see all of it, one at least. */
  readonly groups: string[]
  /** Whether they are so far behind that nothing more is to be handled; says so at once. */
  readonly full: Observable<boolean>
}

/** What a handler can return at most for one message. */
export const MOST_FORWARDED = 1000

/** Ms between two looks at the next stream. */
const LOOK = 250

/**
 * The messages that a handler returned, as JSON texts: nothing for undefined and null, each element of an array, else
 * the value itself. Throws an error whose message says what cannot be one.
 */
export function messagesOf(result: unknown): string[] {
  if (result === undefined || result === null) return []
  const values: unknown[] = Array.isArray(result) ? result : [result]
  if (values.length > MOST_FORWARDED)
    throw new Error(`${values.length} messages were returned: at most ${MOST_FORWARDED} are allowed`)
  return values.map(value => {
    const text = JSON.stringify(value)
    if (text === undefined) throw new Error(`a ${typeof value} was returned: what JSON can hold is allowed`)
    return text
  })
}

/** Whether any group of a stream is `most` packages behind; true until that is known, whatever fails. */
export function isBehind(
  { keys, groups }: Pick<Forward, 'keys' | 'groups'>,
  { url, deadline, most }: { url: string; deadline: number; most: number },
): Observable<boolean> {
  return connected(url, 'conveyor-next', deadline).pipe(
    switchMap(redis => defer(() => backlogOf(redis, keys.stream, groups)).pipe(repeat({ delay: LOOK }))),
    map(({ backlog }) => backlog >= most),
    retry({ delay: (_, attempt) => timer(backoff(attempt)), resetOnSuccess: true }),
    startWith(true),
    distinctUntilChanged(),
  )
}
