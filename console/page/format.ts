/** What is shown for something that is not known. */
export const UNKNOWN = '–'

/** `1,234` */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : value.toLocaleString('en-US')
}

/** `1 package`, `1,234 packages` */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** Of packages per second: `0/s`, `12.5/s`, `1,234/s` */
export function perSecond(rate: number | null | undefined): string {
  if (rate === null || rate === undefined) return `${UNKNOWN}/s`
  return `${count(rate < 100 ? Math.round(rate * 10) / 10 : Math.round(rate))}/s`
}

/** `512 B`, `1.5 kB`, `20 MB` */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let [size, unit] = [value, 0]
  for (; size >= 999.5 && unit < units.length - 1; unit++) size /= 1000
  return `${unit === 0 || size >= 9.95 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`
}

/** Of ms: `4 ms`, `0.4 s`, `35 s`, `12 min`, `5.5 h`, `3 d` */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return UNKNOWN
  if (ms < 99.5) return `${ms < 9.95 && ms > 0 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`
  const seconds = ms / 1000
  for (const [limit, size, unit] of [
    [99.5, 1, 's'],
    [99.5 * 60, 60, 'min'],
    [48 * 3600, 3600, 'h'],
    [Number.POSITIVE_INFINITY, 86_400, 'd'],
  ] as const) {
    const value = seconds / size
    if (seconds < limit) return `${value < 9.95 ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`
  }
  return UNKNOWN
}

/** Of ms, to tell steps apart: `4 ms`, `1.93 s`, `3 min 2.2 s`, `5 h 12 min` */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${((ms % 60_000) / 1000).toFixed(1)} s`
  return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`
}

/** A share of 0 to 1: `0 %`, `12.5 %`, `100 %` */
export function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`
}

/** `just now`, `35 s ago`, `in 2 min`. Both Unix ms. */
export function relative(at: number, now: number): string {
  const ms = now - at
  if (Math.abs(ms) < 1000) return ms >= 0 ? 'just now' : 'in a moment'
  return ms > 0 ? `${duration(whole(ms))} ago` : `in ${duration(whole(-ms))}`
}

/** Seconds that change once a second, not ten times. */
function whole(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}

/** Of Unix ms: `2026-11-21 20:53:37.766 UTC` */
export function exact(at: number): string {
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return UNKNOWN
  return `${date.toISOString().replace('T', ' ').replace('Z', '')} UTC`
}

/** Of Unix ms, in the reader's own zone: `20:53:37` */
export function clock(at: number): string {
  return new Date(at).toLocaleTimeString('en-GB', { hour12: false })
}

/** Time of an entry's id `<ms>-<seq>`, Unix ms; undefined when it is none. */
export function timeOfId(id: string): number | undefined {
  const [, ms] = /^(\d{1,16})-\d+$/.exec(id) ?? []
  return ms === undefined ? undefined : Number(ms)
}

/** A phrase as a sentence: `no route` is `No route.` */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}

/** Text that is shown whole or cut at so many characters, an ellipsis the last of them. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`
}

/** JSON with indentation, or the text itself when it is none. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
