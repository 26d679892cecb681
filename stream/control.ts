import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import { checkName, type Keys } from './keys.ts'
import type { Vitals } from './vitals.ts'

/** What a consumer is told to do: take nothing more, or end as soon as what it has is finished. */
export type Control = 'paused' | 'draining'

/** The consumer has no session: there is nobody to tell. */
export class NotThere extends Error {
  constructor(readonly consumer: string) {
    super(`consumer ${consumer} has no session: there is nobody to tell`)
    this.name = 'NotThere'
  }
}

/**
 * Tells a consumer to pause, to drain, or to go on. It hears of it with its next heartbeat, wherever it runs, and it
 * stays paused when it is started again. One that has drained forgets it.
 *
 * @param control undefined: go on
 * @throws {NotThere} it has no session; to go on may be told anybody
 */
export async function control(
  redis: Redis,
  keys: Keys,
  consumer: string,
  control: Control | undefined,
): Promise<void> {
  checkName('consumer id', consumer)
  if (control === undefined) {
    await answer(redis.hdel(keys.control, consumer))
    return
  }
  const session = await answer(redis.hget(keys.sessions, consumer))
  if (session === null || session === '-') throw new NotThere(consumer)
  await answer(redis.hset(keys.control, consumer, control))
}

/** What consumers were told, and how they say that they fare. */
export async function controls(
  redis: Redis,
  keys: Keys,
): Promise<{ control: ReadonlyMap<string, Control>; vitals: ReadonlyMap<string, Vitals> }> {
  const [control, vitals] = await answer(
    Promise.all([redis.hgetall(keys.control), redis.hgetall(keys.vitals)]),
  )
  return {
    control: new Map(Object.entries(control).filter(isControl)),
    vitals: new Map(Object.entries(vitals).map(([id, text]) => [id, JSON.parse(text) as Vitals])),
  }
}

function isControl(entry: [string, string]): entry is [string, Control] {
  return entry[1] === 'paused' || entry[1] === 'draining'
}
