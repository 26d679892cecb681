/** `1,234` */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** `12.5/s`, `1,234/s`, or `-` for what is not known. */
export function perSecond(rate: number | null): string {
  if (rate === null) return '-'
  return `${count(rate < 100 ? Math.round(rate * 10) / 10 : Math.round(rate))}/s`
}

/** `512 B`, `1.5 kB`, `20 MB` */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let [size, unit] = [value, 0]
  for (; size >= 999.5 && unit < units.length - 1; unit++) size /= 1000
  return `${unit === 0 || size >= 9.95 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`
}

/** Of seconds: `0.4 s`, `35 s`, `12 min`, `5.5 h`, `3 d` */
export function duration(seconds: number): string {
  for (const [limit, size, unit] of [
    [99.5, 1, 's'],
    [99.5 * 60, 60, 'min'],
    [48 * 3600, 3600, 'h'],
    [Number.POSITIVE_INFINITY, 86_400, 'd'],
  ] as const) {
    const value = seconds / size
    if (seconds < limit) return `${value < 9.95 ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`
  }
  return ''
}
