import { EXIT } from '@conveyor/service'
import {
  type DeadLetter,
  deadLetter,
  type Failure,
  isQuarantined,
  type Keys,
  letterDocument,
  redisNow,
} from '@conveyor/stream'
import { asciiJson, printable } from '@conveyor/validator'
import type { Redis } from 'ioredis'
import pc from 'picocolors'
import { note, say } from '../print.ts'
import { age, lines, oneLine } from './text.ts'

export interface ShowOptions {
  readonly jaegerUrl: string
  readonly maxReplays: number
  readonly json?: boolean
}

/** Characters of a payload that are shown; --json shows all. */
const SHOWN = 20_000

/** Prints one letter, of any group. Returns the exit code. */
export async function showLetter(
  redis: Redis,
  keys: Keys,
  id: string,
  options: ShowOptions,
): Promise<number> {
  const letter = await deadLetter(redis, keys, id)
  if (!letter) {
    await note(`conveyor: ${unknown(id)}`)
    return EXIT.failed
  }
  const { json, maxReplays, jaegerUrl } = options
  const traceUrl = urlOf(letter, jaegerUrl)
  await say(
    json
      ? asciiJson({ ...letterDocument(letter, maxReplays), traceUrl: traceUrl ?? null })
      : described(letter, { now: await redisNow(redis), maxReplays, traceUrl }).join('\n'),
  )
  return EXIT.ok
}

export function unknown(id: string): string {
  return `there is no dead letter ${id}: it was replayed or purged, or never was`
}

function urlOf({ traceId }: DeadLetter, jaegerUrl: string): string | undefined {
  return traceId && `${jaegerUrl.replace(/\/+$/, '')}/trace/${encodeURIComponent(traceId)}`
}

export function described(
  letter: DeadLetter,
  { now, maxReplays, traceUrl }: { now: number; maxReplays: number; traceUrl: string | undefined },
): string[] {
  const { id, at, reason, detail, failures, fields, stack } = letter
  const { produced, payload } = contentOf(fields.data)
  const facts: [name: string, text: string | undefined][] = [
    ['reason', reason],
    ['detail', detail],
    ['produced', produced],
    ['died', `${time(at)}, ${age(now - at)} ago`],
    ['package', letter.package?.toString()],
    ['group', letter.group],
    ['consumer', letter.consumer],
    ['attempts', `${letter.attempts}; the last entry was delivered ${times(letter.deliveries)}`],
    ['replays', replays(letter, maxReplays)],
    [
      'message',
      letter.message === letter.entry ? letter.entry : `${letter.message}, last in ${letter.entry}`,
    ],
    ['run', letter.epoch || undefined],
    ['trace', traceUrl],
  ]
  const known = facts.flatMap(([name, text]) =>
    text ? [`  ${pc.dim(name.padEnd(9))} ${oneLine(text)}`] : [],
  )
  const others = Object.entries(fields).filter(([name]) => name !== 'data' && name !== 'traceparent')
  return [
    pc.bold(`Dead letter ${id}`),
    ...known,
    ...section('Failed attempts', failures.filter(isObject).map(attemptOf)),
    ...section('Payload', shown(payload)),
    ...section(
      'Other fields',
      others.map(([name, value]) => `${oneLine(name)}: ${oneLine(value)}`),
    ),
    ...section('Stack', stack ? lines(stack) : []),
  ]
}

function section(title: string, texts: readonly string[]): string[] {
  return texts.length > 0 ? ['', pc.bold(title), ...texts.map(text => `  ${text}`)] : []
}

function replays(letter: DeadLetter, maxReplays: number): string {
  return isQuarantined(letter, maxReplays) ? `${letter.replays}, quarantined` : String(letter.replays)
}

/** Letters may have been written by anybody. */
function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function attemptOf({ attempt, at, consumer, reason, detail }: Failure): string {
  return oneLine(`${attempt}  ${time(at)}  ${consumer}  ${reason}: ${detail}`)
}

/** The payload with line breaks, and when it was produced; data that holds no payload is shown as it is. */
function contentOf(data = ''): { produced?: string; payload: string } {
  try {
    const { timestamp_producer: timestamp, payload } = JSON.parse(data)
    const text = JSON.stringify(payload, null, 2)
    const known = typeof timestamp === 'number' && { produced: time(timestamp * 1000) }
    if (text !== undefined) return { ...known, payload: text }
  } catch {
    // Unreadable, or nested deeper than it can be written.
  }
  return { payload: data }
}

function shown(text: string): string[] {
  if (text === '') return []
  const first = lines(text.slice(0, SHOWN))
  return text.length > SHOWN
    ? [...first, `… ${text.length - SHOWN} more characters: --json shows them`]
    : first
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}

function time(ms: number): string {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return printable(String(ms))
  return date.toISOString().replace('T', ' ').replace('Z', ' UTC')
}
