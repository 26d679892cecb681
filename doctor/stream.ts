import { setTimeout as sleep } from 'node:timers/promises'
import { answer, decode, inspect, type Keys, Liveness, Poison, type StreamState } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { type Check, finding, note, ok } from './check.ts'
import { count, duration } from './units.ts'

export interface Beats {
  /** Ms between two heartbeats of the consumers. */
  readonly beatInterval: number
  readonly deathBeats: number
}

/** The stream and one of its groups. Looks for as long as it takes to tell which consumers are dead. */
export async function checkStream(redis: Redis, keys: Keys, beats: Beats): Promise<Check[]> {
  const type = await answer(redis.type(keys.stream))
  if (type !== 'none' && type !== 'stream') {
    return [
      finding('stream', `the key ${keys.stream} is a ${type}`, 'choose another --stream, or rename that key'),
    ]
  }
  const liveness = new Liveness(beats.deathBeats)
  let state = await inspect(redis, keys)
  liveness.see(state.consumers)
  const incomplete = checkPresence(keys, state, type === 'stream')
  if (incomplete) return [incomplete]
  const open = state.consumers.some(({ session }) => session === 'live')
  for (let looks = 0; open && looks < beats.deathBeats; looks++) {
    await sleep(beats.beatInterval)
    state = await inspect(redis, keys)
    liveness.see(state.consumers)
  }
  return [
    ok(
      'stream',
      `${keys.stream}: run ${state.epoch}, ${count(state.sequence)} packages, ${count(state.length)} entries`,
    ),
    checkGroups(keys, state),
    ...(state.group ? checkConsumers(state, liveness) : []),
    checkDeadLetters(state),
    checkRetries(state),
    checkTrim(state),
    await checkEntries(redis, keys),
  ]
}

/** A stream that was never begun, or of which a part is missing; undefined when it is all there. */
function checkPresence({ stream, head }: Keys, { epoch }: StreamState, exists: boolean): Check | undefined {
  const begun = epoch !== undefined
  if (begun && exists) return undefined
  if (!begun && !exists) return note('stream', `no stream ${stream} yet: a producer begins it`)
  return begun
    ? finding(
        'stream',
        `${stream} was deleted, while its head ${head} stands: packages are lost`,
        'restore it from a backup, or begin a new run: conveyor up --fresh',
      )
    : finding(
        'stream',
        `${stream} holds entries, but its head ${head} is missing`,
        `restore the head from a backup, or move the stream away: redis-cli RENAME ${stream} ${stream}-old`,
      )
}

function checkGroups({ group }: Keys, { groups, missing, group: present }: StreamState): Check {
  if (missing.length > 0) {
    return finding(
      'groups',
      `recorded, but not there: ${missing.join(', ')}; everything stops until it is`,
      'restore Redis from a backup, or begin a new run: conveyor up --fresh',
    )
  }
  if (groups.includes(group)) return ok('groups', `${groups.join(', ')}: all there`)
  const known = `the groups of this run are ${groups.join(', ')}`
  return present
    ? finding(
        'groups',
        `${group} is there but not recorded, so its entries may be trimmed before it has them; ${known}`,
        `add it to the producer's GROUPS, or use another --group`,
      )
    : note('groups', `there is no group ${group}; ${known}`)
}

function checkConsumers(state: StreamState, liveness: Liveness): Check[] {
  const live = state.consumers.filter(one => ['live', 'silent', 'unknown'].includes(liveness.of(one)))
  const left = state.consumers.filter(one => !live.includes(one) && one.pending > 0)
  const checks: Check[] = []
  const waiting = state.lag > 0 ? `; ${count(state.lag)} packages wait` : ''
  if (live.length > 0)
    checks.push(ok('consumers', `${live.length} live: ${live.map(({ id }) => id).join(', ')}`))
  else checks.push(note('consumers', `none is live${waiting}`))
  if (left.length === 0) return checks
  const who = left.map(one => `${one.id} (${liveness.of(one)}) ${count(one.pending)}`).join(', ')
  const text = `pending for consumers that are not live: ${who}`
  if (live.length > 0) checks.push(note('pending', `${text}; those that live take over`))
  else checks.push(finding('pending', text, 'start a consumer: it takes over after five heartbeats'))
  return checks
}

function checkDeadLetters({ deadLetters, letters }: StreamState): Check {
  if (deadLetters === 0) return ok('dead letters', 'none')
  const reasons = Object.entries(letters).map(([reason, n]) => `${count(n)} ${reason}`)
  const own = reasons.length > 0 ? reasons.join(', ') : 'all of other groups or earlier runs'
  return finding(
    'dead letters',
    `${count(deadLetters)} (${own})`,
    'look at them, and replay or purge them: conveyor dlq',
  )
}

/** Seconds by which a retry may be late: consumers look once a heartbeat. */
const LATE = 5

function checkRetries({ waiting, nextDue }: StreamState): Check {
  if (nextDue === undefined) return ok('retries', 'none waits')
  const late = -nextDue / 1000
  if (late < LATE) return ok('retries', `${count(waiting)} waiting`)
  return finding(
    'retries',
    `${count(waiting)} waiting, the first overdue by ${duration(late)}`,
    'start a consumer of the group: consumers return what is due to the stream',
  )
}

/** The producer waits when a group is so far behind, by default. */
const MAX_BACKLOG = 100_000

function checkTrim({ at, length, floor, first }: StreamState): Check {
  if (!floor || !first) return ok('trim', `${count(length)} entries, all settled`)
  const text = `group ${floor.group} still needs entries from ${duration((at - Number.parseInt(floor.entry, 10)) / 1000)} ago on; ${count(length)} are kept`
  if (length < MAX_BACKLOG) return ok('trim', text)
  return finding(
    'trim',
    text,
    `start consumers of group ${floor.group}; if nobody needs that group any more, begin a run without it: conveyor up --fresh`,
  )
}

/** Entries that are looked at, at either end. */
const SAMPLE = 200

/** Entries that others wrote into the stream. */
async function checkEntries(redis: Redis, { stream }: Keys): Promise<Check> {
  const ends = await Promise.all([
    answer(redis.xrange(stream, '-', '+', 'COUNT', SAMPLE)),
    answer(redis.xrevrange(stream, '+', '-', 'COUNT', SAMPLE)),
  ])
  const entries = new Map(ends.flat())
  const strange = [...entries].filter(([id, fields]) => !readable(id, fields)).map(([id]) => id)
  if (strange.length === 0) return ok('entries', `${count(entries.size)} looked at, all readable`)
  return finding(
    'entries',
    `${count(strange.length)} of ${count(entries.size)} looked at are no packages, such as ${strange[0]}; they go to the dead letters`,
    `find out who else writes to the key: redis-cli XRANGE ${stream} ${strange[0]} ${strange[0]}`,
  )
}

function readable(id: string, fields: string[]): boolean {
  try {
    decode(id, fields, 0)
    return true
  } catch (error) {
    if (error instanceof Poison) return false
    throw error
  }
}
