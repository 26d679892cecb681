import { inspect, type Keys } from '@conveyor/stream'
import { printable } from '@conveyor/validator'
import type { Redis } from 'ioredis'

/** `1 dead letter`, `1,200 dead letters`. */
export function letters(count: number): string {
  return `${count.toLocaleString('en-US')} dead letter${count === 1 ? '' : 's'}`
}

/** A duration in its largest unit: `45s`, `12m`, `3h`, `2d`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}

/** Text of any origin on one line, without anything that a terminal could act on. */
export function oneLine(text: string): string {
  return printable(text.replace(/\s+/g, ' ').trim())
}

/** The same for text of several lines. */
export function lines(text: string): string[] {
  return text.split(/\r?\n/).map(line => printable(line.replaceAll('\t', '    ')))
}

/** Lines of how many there are of each, most first. */
export function histogram(counts: ReadonlyMap<string, number>): string[] {
  const rows = [...counts].sort(([, a], [, b]) => b - a)
  const width = Math.max(...rows.map(([, count]) => count.toLocaleString('en-US').length))
  return rows.map(
    ([name, count]) => `  ${count.toLocaleString('en-US').padStart(width)}  ${oneLine(name) || 'no reason'}`,
  )
}

export function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

/** What to say when no letter was found: what there is instead. */
export async function nothingFound(redis: Redis, keys: Keys): Promise<string> {
  const { epoch, deadLetters, letters: reasons } = await inspect(redis, keys)
  const counted = Object.entries(reasons).map(([reason, number]) => `${oneLine(reason)} (${number})`)
  const none = `no dead letter of group ${keys.group}`
  if (counted.length > 0) return `${none} matches; those that there are: ${counted.join(', ')}`
  if (deadLetters > 0) return `${none}; stream ${keys.stream} has ${letters(deadLetters)} in all groups`
  if (epoch === undefined) return `${none}; stream ${keys.stream} was never opened`
  return none
}
