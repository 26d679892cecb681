const WIDTH = 110

/** JSON as the repository formats it: lists of plain values stand on one line where they fit. */
export const toJson = (value: unknown): string => `${format(JSON.parse(JSON.stringify(value)), '', 0)}\n`

function format(value: unknown, indent: string, used: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    const line = `[${value.map(item => JSON.stringify(item)).join(', ')}]`
    const plain = value.every(item => typeof item !== 'object' || item === null)
    if (plain && used + line.length < WIDTH) return line
    return `[\n${value.map(item => inner + format(item, inner, inner.length)).join(',\n')}\n${indent}]`
  }
  const entries = Object.entries(value)
  if (entries.length === 0) return '{}'
  const lines = entries.map(([key, item]) => {
    const start = `${inner}${JSON.stringify(key)}: `
    return start + format(item, inner, start.length)
  })
  return `{\n${lines.join(',\n')}\n${indent}}`
}
