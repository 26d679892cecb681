import { join } from 'node:path'
import {
  answer,
  compareIds,
  deadLetter,
  type Entry,
  entriesOf,
  filtered,
  inspect,
  type Keys,
  linesOf,
  packageOfEntry,
  whereaboutsOf,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'
import type { Hit, MessageState, SearchResult } from './contract.ts'
import { dataOf } from './payload.ts'
import { packageIn } from './pending.ts'

/** What is searched for; a hit meets all of it. */
export interface Wanted {
  readonly packages?: readonly [number, number] | undefined
  readonly id?: string | undefined
  readonly consumer?: string | undefined
  readonly state?: MessageState | undefined
  readonly text?: string | undefined
}

const MOST = 100
/** Ms that looking through one place may take: waiting messages, dead letters, the stream, the files. */
const PATIENCE = 500
/** Pending entries whose owners are told. */
const OWNERS = 10_000
/** Characters of an excerpt, and of these before what was found. */
const EXCERPT = 160
const BEFORE = 40

/** Looks through the dead letters, what waits, the stream, and the files; newest first, and no longer than is bearable. */
export async function search(
  redis: Redis,
  keys: Keys,
  wanted: Wanted,
  outputDir: string,
): Promise<SearchResult> {
  const started = performance.now()
  const found = new Search(wanted)
  const { packages, id } = wanted
  if (id !== undefined) await found.byId(redis, keys, id)
  else {
    if (packages && packages[0] === packages[1]) await found.byNumber(redis, keys, packages[0])
    await found.inWaiting(redis, keys)
    await found.inLetters(redis, keys)
    await found.inStream(redis, keys)
    await found.inFiles(redis, keys, outputDir)
  }
  const { hits, complete, looked } = found
  return { hits, complete, looked, ms: Math.round(performance.now() - started) }
}

class Search {
  readonly hits: Hit[] = []
  looked = 0
  complete = true
  private readonly seen = new Set<string>()
  private readonly text: string | undefined
  /** Packages that wait or are dead: an entry of theirs in the stream is settled, and they are not committed. */
  private readonly elsewhere = new Set<number>()

  private end = 0

  constructor(private readonly wanted: Wanted) {
    this.text = wanted.text?.toLowerCase()
  }

  async byId(redis: Redis, keys: Keys, id: string): Promise<void> {
    const letter = await deadLetter(redis, keys, id)
    if (letter)
      this.meet('dead', letter.package ?? null, id, letter.consumer, [letter.detail, letter.fields.data])
    const number = await packageOfEntry(redis, keys, id)
    if (number !== undefined) await this.byNumber(redis, keys, number, id)
  }

  async byNumber(redis: Redis, keys: Keys, number: number, id: string | null = null): Promise<void> {
    if (this.wanted.text !== undefined || this.wanted.consumer !== undefined) return
    const found = await whereaboutsOf(redis, keys, number)
    if (found.state === 'not given out') return
    const entry = 'place' in found ? ('letter' in found.place ? found.place.letter : found.place.entry) : id
    const owner = 'place' in found && 'consumer' in found.place ? found.place.consumer : undefined
    this.meet(found.state, number, entry, owner, [])
  }

  async inWaiting(redis: Redis, keys: Keys): Promise<void> {
    this.end = performance.now() + PATIENCE
    if (!this.wants('waiting') && !this.mindsSettled) return
    for (let cursor = '0'; ; ) {
      const [next, rows] = await answer(redis.hscan(keys.waiting, cursor, 'COUNT', 100))
      for (let i = 0; i < rows.length; i += 2) {
        if (this.isOver()) return
        const fields = fieldsIn(rows[i + 1] as string)
        const failure = /"consumer":"([^"]*)"[^{}]*\}\]/.exec(fields[fields.indexOf('conveyor') + 1] ?? '')
        this.meet('waiting', packageIn(rows[i] as string, fields), rows[i] as string, failure?.[1], fields)
      }
      if (next === '0') return
      cursor = next
    }
  }

  async inLetters(redis: Redis, keys: Keys): Promise<void> {
    this.end = performance.now() + PATIENCE
    if (!this.wants('dead') && !this.mindsSettled) return
    for await (const letter of filtered(redis, keys, {}, { newestFirst: true })) {
      if (this.isOver()) return
      const { id, detail, reason, consumer, fields } = letter
      this.meet('dead', letter.package ?? null, id, consumer, [`${reason}: ${detail}`, fields.data])
    }
  }

  async inStream(redis: Redis, keys: Keys): Promise<void> {
    this.end = performance.now() + PATIENCE
    if (!['undelivered', 'pending', 'committed'].some(state => this.wants(state as MessageState))) return
    const owners = new Map<string, string>()
    const rows = (await answer(redis.xpending(keys.stream, keys.group, '-', '+', OWNERS)).catch(
      () => [],
    )) as [string, string][]
    for (const [id, owner] of rows) owners.set(id, owner)
    const last = await lastDelivered(redis, keys)
    for await (const [id, fields] of entriesOf(redis, keys.stream, '-', '+', true)) {
      if (this.isOver()) return
      const owner = owners.get(id)
      // What is settled may have been committed, dead, or be waiting: the other places tell of these.
      const state =
        last !== undefined && compareIds(id, last) > 0 ? 'undelivered' : owner ? 'pending' : undefined
      if (state && this.wants(state)) this.meet(state, packageIn(id, fields), id, owner, [dataOf(fields)])
      if (!state && this.mindsSettled && !this.elsewhere.has(packageIn(id, fields) ?? 0))
        this.meet('committed', packageIn(id, fields), id, undefined, [dataOf(fields)])
    }
  }

  async inFiles(redis: Redis, keys: Keys, outputDir: string): Promise<void> {
    this.end = performance.now() + PATIENCE
    if (!this.wants('committed')) return
    const { epoch } = await inspect(redis, keys)
    if (epoch === undefined) return
    for await (const { consumer, text } of linesOf(join(outputDir, 'runs', epoch), this.wanted.consumer)) {
      if (this.isOver()) return
      const number = Number(/ package (\d+) /.exec(text)?.[1])
      this.meet('committed', number || null, null, consumer, [text])
    }
  }

  /** Whether payloads of settled entries are looked at, which are committed unless they are elsewhere. */
  private get mindsSettled(): boolean {
    return this.text !== undefined && this.wants('committed')
  }

  private wants(state: MessageState): boolean {
    return (this.wanted.state === undefined || this.wanted.state === state) && this.hits.length < MOST
  }

  private isOver(): boolean {
    this.looked++
    const over = this.hits.length >= MOST || (this.looked % 64 === 0 && performance.now() > this.end)
    if (over) this.complete = false
    return over
  }

  private meet(
    state: MessageState,
    number: number | null,
    id: string | null,
    consumer: string | undefined,
    texts: readonly (string | undefined)[],
  ): void {
    const { packages, consumer: owner, state: only } = this.wanted
    if (number !== null && (state === 'waiting' || state === 'dead')) this.elsewhere.add(number)
    if (only !== undefined && state !== only) return
    if (packages && (number === null || number < packages[0] || number > packages[1])) return
    if (owner !== undefined && consumer !== owner) return
    const excerpt = this.excerptOf(texts)
    if (excerpt === undefined) return
    const key = `${state} ${number ?? id}`
    if (this.seen.has(key)) return
    this.seen.add(key)
    this.hits.push({ package: number, state, id, consumer: consumer ?? null, excerpt })
  }

  /** What is around the text that was looked for; undefined when it is in none of these. */
  private excerptOf(texts: readonly (string | undefined)[]): string | undefined {
    if (this.text === undefined) return (texts.find(text => text) ?? '').slice(0, EXCERPT)
    for (const text of texts) {
      const at = text?.toLowerCase().indexOf(this.text) ?? -1
      if (at < 0) continue
      const from = Math.max(0, at - BEFORE)
      return `${from > 0 ? '…' : ''}${text?.slice(from, from + EXCERPT)}`
    }
    return undefined
  }
}

function fieldsIn(body: string): string[] {
  try {
    return (JSON.parse(body) as unknown[]).slice(1).map(String)
  } catch {
    return []
  }
}

async function lastDelivered(redis: Redis, keys: Keys): Promise<string | undefined> {
  const groups = (await answer(redis.xinfo('GROUPS', keys.stream)).catch(() => [])) as Entry[1][]
  const group = groups.find(row => row[1] === keys.group)
  return group?.[group.indexOf('last-delivered-id') + 1]
}
