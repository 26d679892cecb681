import { InvalidArgumentError } from 'commander'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3600_000, d: 86_400_000 }

/** `90s`, `10m`, `2h`, `1d`, `1.5h` in ms. */
export function duration(text: string): number {
  const [, value, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  const ms = Math.round(Number(value) * (UNITS[unit ?? ''] ?? Number.NaN))
  if (!Number.isSafeInteger(ms)) {
    throw new InvalidArgumentError('A duration such as 90s, 10m, 2h or 1d is allowed.')
  }
  return ms
}

/** `100-200`, or `100` alone. */
export function packageRange(text: string): [first: number, last: number] {
  const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? []
  const [first, last] = [Number(from), Number(to)]
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || first > last) {
    throw new InvalidArgumentError('A range of package numbers such as 100-200 is allowed.')
  }
  return [first, last]
}

const MOST = 2n ** 64n - 1n

/** Id of a letter. */
export function letterId(text: string): string {
  const parts = /^(\d{1,20})-(\d{1,20})$/.exec(text)?.slice(1) ?? []
  if (parts.length !== 2 || parts.some(part => BigInt(part) > MOST)) {
    throw new InvalidArgumentError('The id of a dead letter, such as 1795293061000-0, is allowed.')
  }
  return parts.map(BigInt).join('-')
}
