import { setTimeout as sleep } from 'node:timers/promises'
import { defer, ignoreElements, type Observable, repeat } from 'rxjs'
import { tellMissing } from './events.ts'
import { Script } from './scripts.ts'
import type { Session } from './session.ts'

const script = new Script<[returned: number, next: number, missing: string[]]>('due')

/** Ms between two looks at most: a message comes back that much late in the worst case. */
const LOOK = 50
/** Messages, and bytes of them, that one call returns, so that Redis is never busy with one for long. */
const BATCH = 100
const BYTES = 1024 * 1024

/**
 * Returns messages to the stream whose retry is due, for as long as it is subscribed. Every consumer of the group
 * does so; each message is returned once, because the script forgets it in the same step.
 *
 * Never emits; errors with `RedisError` (EPOCH, STREAMGONE) or `ConnectionLost`.
 */
export function returnDue(session: Session): Observable<never> {
  const { keys, events } = session.options
  const look = async () => {
    const [count, next, missing] = await script.run(
      session.redis,
      [keys.stream, keys.head, keys.retry, keys.waiting, keys.dead, keys.counts, keys.history],
      [session.epoch, keys.group, BATCH, BYTES],
    )
    if (count > 0) events.next({ type: 'returned', count })
    tellMissing(events, missing)
    if (next !== 0) await sleep(next < 0 ? LOOK : Math.min(next, LOOK))
  }
  return defer(look).pipe(repeat(), ignoreElements())
}
