import type { LetterFilter, LetterPage } from '../contract.ts'

/** What of the form's fields cannot be used, by name. */
export type FilterErrors = Partial<Record<keyof LetterFilter, string>>

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** `90s`, `10m`, `10 min`, `1.5h`, `2d` in ms; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, value, unit = ''] = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)$/.exec(text.trim()) ?? []
  const ms = Math.round(Number(value) * (UNITS[unit] ?? Number.NaN))
  return Number.isSafeInteger(ms) ? ms : undefined
}

/** The filter that an address asks for. What cannot be used is left out and named in `errors`. */
export function filterOf(query: URLSearchParams): { filter: LetterFilter; errors: FilterErrors } {
  const errors: { -readonly [K in keyof FilterErrors]: string } = {}
  const text = (name: keyof LetterFilter) => query.get(name)?.trim() ?? ''
  const age = (name: 'minAge' | 'maxAge') => {
    if (text(name) === '') return undefined
    const ms = parseDuration(text(name))
    if (ms === undefined) errors[name] = 'Such as 90s, 10m, 2h or 1d.'
    return ms
  }
  const reason = query.getAll('reason').filter(Boolean)
  const error = text('error')
  const [minAge, maxAge] = [age('minAge'), age('maxAge')]
  const packages = text('packages').replaceAll(' ', '')
  const range = /^(\d+)(?:-(\d+))?$/.exec(packages)
  if (packages !== '' && (!range || Number(range[1]) > Number(range[2] ?? range[1])))
    errors.packages = 'A number, or a range such as 100-200.'
  const replays = text('minReplays')
  if (replays !== '' && !/^\d{1,9}$/.test(replays)) errors.minReplays = 'A number such as 3.'
  return {
    errors,
    filter: {
      ...(reason.length > 0 && { reason }),
      ...(error !== '' && { error }),
      ...(minAge !== undefined && { minAge }),
      ...(maxAge !== undefined && { maxAge }),
      ...(packages !== '' && !errors.packages && { packages }),
      ...(replays !== '' && !errors.minReplays && { minReplays: Number(replays) }),
    },
  }
}

/** The filter as parameters of a request. */
export function parameters(
  filter: LetterFilter,
): Readonly<Record<string, string | number | readonly string[] | undefined>> {
  return { ...filter }
}

/** The filter in words: `reason rejected or handler failed, error contains "x"`; '' when it takes all. */
export function inWords(query: URLSearchParams): string {
  const reasons = query.getAll('reason').filter(Boolean)
  const parts: [string, string | null][] = [
    ['reason', reasons.length > 0 ? reasons.join(' or ') : null],
    ['error contains', query.get('error') && `“${query.get('error')}”`],
    ['older than', query.get('minAge')],
    ['younger than', query.get('maxAge')],
    ['packages', query.get('packages')],
    ['replayed at least', query.get('minReplays') && `${query.get('minReplays')} times`],
  ]
  return parts.flatMap(([name, value]) => (value ? [`${name} ${value}`] : [])).join(', ')
}

/**
 * How many letters an action on all that match is about, which is the number to be typed.
 *
 * @param quarantined whether those in quarantine are replayed, too
 */
export function chosen(page: LetterPage, action: 'replay' | 'purge', quarantined: boolean): number {
  if (action === 'purge') return page.matched
  return quarantined ? page.replayableAnyway : page.replayable
}

/** Whether what a person typed is that number: digits alone, or with the separators that it is shown with. */
export function confirms(typed: string, number: number): boolean {
  return typed.trim().replaceAll(/[,\s]/g, '') === String(number)
}
