/** A line that is longer than is allowed. */
export class LineTooLong extends Error {}

/**
 * Splits bytes at each newline, as they come. Not by node:readline, which also splits at U+2028, and so within strings
 * of JSON. The last line needs no newline.
 *
 * @throws {LineTooLong}
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<Buffer> {
  let parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      if (length + end - from > most) throw new LineTooLong()
      yield Buffer.concat([...parts, chunk.subarray(from, end)])
      parts = []
      length = 0
      from = end + 1
    }
    parts.push(chunk.subarray(from))
    length += chunk.length - from
    if (length > most) throw new LineTooLong()
  }
  if (length > 0) yield Buffer.concat(parts)
}

/**
 * The texts of an array's elements, as they stand in `array`, which is valid JSON. To parse and write them anew would
 * change numbers that JavaScript cannot hold.
 */
export function elementsOf(array: string): string[] {
  const texts: string[] = []
  const open = array.indexOf('[')
  const close = array.lastIndexOf(']')
  let from = open + 1
  let depth = 0
  for (let at = from; at <= close; at++) {
    const char = array[at]
    if (char === '"') {
      for (at++; array[at] !== '"'; at++) if (array[at] === '\\') at++
    } else if (char === '[' || char === '{') {
      depth++
    } else if (depth > 0) {
      if (char === ']' || char === '}') depth--
    } else if (char === ',' || at === close) {
      const text = array.slice(from, at).trim()
      if (text !== '') texts.push(text)
      from = at + 1
    }
  }
  return texts
}
