import { hostname, userInfo } from 'node:os'
import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import type { Keys } from './keys.ts'
import type { Entry } from './pages.ts'

/** Something that a person has done to the stream. */
export interface Action {
  /** Unix ms by Redis' clock. */
  readonly at: number
  /** `console 127.0.0.1`, `cli user@host` */
  readonly who: string
  /** `replay`, `purge`, `edit`, `retry`, `pause`, … */
  readonly action: string
  /** To what: a consumer, a package, a letter, a filter. */
  readonly what: string
  /** To how many. */
  readonly count: number
  /** The command line that does the same. */
  readonly command: string
}

/** Actions kept, about. */
const KEPT = 10_000
/** Characters kept of each text. */
const LONGEST = 2000

/** Puts an action on record. */
export async function recordAction(redis: Redis, keys: Keys, action: Omit<Action, 'at'>): Promise<void> {
  const { who, count, command, what, action: name } = action
  const fields = { who, action: name, what, count: String(count), command }
  const cut = Object.entries(fields).flatMap(([field, value]) => [field, value.slice(0, LONGEST)])
  await answer(redis.xadd(keys.actions, 'MAXLEN', '~', KEPT, '*', ...cut))
}

/** The last actions, newest first. */
export async function lastActions(redis: Redis, keys: Keys, limit: number): Promise<Action[]> {
  const entries = (await answer(redis.xrevrange(keys.actions, '+', '-', 'COUNT', limit))) as Entry[]
  return entries.map(([id, strings]) => {
    const field = (name: string) => strings[strings.indexOf(name) + 1] ?? ''
    return {
      at: Number.parseInt(id, 10),
      who: field('who'),
      action: field('action'),
      what: field('what'),
      count: Number(field('count')),
      command: field('command'),
    }
  })
}

/** Who works at this machine's command line. */
export function commandLineUser(): string {
  try {
    return `cli ${userInfo().username}@${hostname()}`
  } catch {
    return `cli ${hostname()}` // a user id without a name
  }
}
