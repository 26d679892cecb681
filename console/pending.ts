import {
  answer,
  decode,
  type Entry,
  type Keys,
  type Past,
  Poison,
  redisNow,
  returnedOf,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'
import type { PendingEntry, PendingPage, WaitingMessage } from './contract.ts'
import { dataOf, waitingData } from './payload.ts'

const LONGEST = 500

type Row = [id: string, consumer: string, idle: number, deliveries: number]

/** What is pending, and what waits for another attempt: the oldest of each, and how many there are. */
export async function pendingPage(
  redis: Redis,
  keys: Keys,
  { limit, consumer }: { limit: number; consumer?: string | undefined },
): Promise<PendingPage> {
  const now = await redisNow(redis)
  const rows = await pendingRows(redis, keys, limit, consumer)
  const entries = (await pipelined(
    redis,
    rows.map(([id]) => ['xrange', keys.stream, id, id]),
  )) as Entry[][]
  const pending = rows.map((row, i) => pendingEntry(row, entries[i]?.[0]?.[1], now))
  const { waiting, total } = await waitingPage(redis, keys, limit, now)
  return {
    pending,
    waiting: consumer === undefined ? waiting : waiting.filter(one => one.consumer === consumer),
    totalPending: await totalPending(redis, keys, consumer),
    totalWaiting: total,
  }
}

async function pendingRows(redis: Redis, keys: Keys, limit: number, consumer?: string): Promise<Row[]> {
  const { stream, group } = keys
  const call =
    consumer === undefined
      ? redis.xpending(stream, group, '-', '+', limit)
      : redis.xpending(stream, group, '-', '+', limit, consumer)
  return (await answer(call).catch(ignoreMissing)) as Row[]
}

async function totalPending(redis: Redis, keys: Keys, consumer: string | undefined): Promise<number> {
  const [total, , , owners] = (await answer(redis.xpending(keys.stream, keys.group)).catch(
    ignoreMissing,
  )) as [number, string, string, [string, string][] | null]
  if (consumer === undefined) return total ?? 0
  return Number(owners?.find(([name]) => name === consumer)?.[1] ?? 0)
}

function pendingEntry(
  [entry, consumer, idle, deliveries]: Row,
  fields: string[] | undefined,
  now: number,
): PendingEntry {
  const past = fields && returnedOf(fields)
  return {
    entry,
    package: fields ? packageIn(entry, fields) : null,
    consumer,
    deliveries,
    age: Math.max(0, now - Number.parseInt(entry, 10)),
    idle,
    lastError: errorIn(past),
  }
}

async function waitingPage(
  redis: Redis,
  keys: Keys,
  limit: number,
  now: number,
): Promise<{ waiting: WaitingMessage[]; total: number }> {
  const [rows, total] = await answer(
    Promise.all([redis.zrange(keys.retry, 0, String(limit - 1), 'WITHSCORES'), redis.zcard(keys.retry)]),
  )
  const waiting: WaitingMessage[] = []
  for (let i = 0; i < rows.length; i += 2) {
    const [entry, due] = [rows[i] as string, Number(rows[i + 1])]
    const fields = await waitingData(redis, keys, entry)
    if (!fields) continue // it has just come back
    const past = returnedOf([...fields, 'conveyor-sequence', '0'])
    waiting.push({
      entry,
      package: packageIn(entry, fields),
      due,
      dueIn: due - now,
      attempt: (past?.attempt ?? 2) - 1,
      consumer: past?.failures.at(-1)?.consumer ?? null,
      reason: past?.failures.at(-1)?.reason ?? null,
      lastError: past?.failures.at(-1)?.detail.slice(0, LONGEST) ?? null,
      age: Math.max(0, now - Number.parseInt(past?.id ?? entry, 10)),
    })
  }
  return { waiting, total }
}

export function packageIn(entry: string, fields: readonly string[]): number | null {
  try {
    return decode(entry, ['data', dataOf(fields) ?? ''], 0).package
  } catch (error) {
    if (error instanceof Poison) return error.package ?? null
    throw error
  }
}

function errorIn(past: Past | undefined): string | null {
  const last = past?.failures.at(-1)
  return last ? `${last.reason}: ${last.detail}`.slice(0, LONGEST) : null
}

async function pipelined(redis: Redis, commands: unknown[][]): Promise<unknown[]> {
  if (commands.length === 0) return []
  const replies = (await answer(redis.pipeline(commands as string[][]).exec())) ?? []
  return replies.map(([error, reply]) => {
    if (error) throw error
    return reply
  })
}

/** Without a group or a stream, nothing is pending. */
function ignoreMissing(error: Error): unknown[] {
  if (error.message.startsWith('NOGROUP')) return []
  throw error
}
