const PUSH = '>'.charCodeAt(0)

/** Cuts one direction of a Redis connection, RESP2 or RESP3, into its values: requests or replies. */
export class RespFrames {
  #rest: Buffer = Buffer.alloc(0)

  /** Takes the next chunk, cut anywhere, and returns the bytes of each value that it completes. */
  push(chunk: Buffer): Buffer[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const frames: Buffer[] = []
    let start = 0
    for (let end = endOf(bytes, start); end >= 0; end = endOf(bytes, start)) {
      frames.push(bytes.subarray(start, end))
      start = end
    }
    this.#rest = bytes.subarray(start)
    return frames
  }
}

/** Whether a value answers no request: RESP3 sends such ones between the replies. */
export function isPush(frame: Buffer): boolean {
  return frame[0] === PUSH
}

/** Where the value that begins at `start` ends; -1 when the rest of it is still to come. */
function endOf(bytes: Buffer, start: number): number {
  const line = bytes.indexOf('\r\n', start)
  if (line < 0) return -1
  const type = String.fromCharCode(bytes[start] as number)
  const size = Number(bytes.toString('latin1', start + 1, line))
  let end = line + 2
  if ('$=!'.includes(type)) {
    if (size >= 0) end += size + 2
    return end <= bytes.length ? end : -1
  }
  // An attribute is followed by the value that it belongs to.
  const values = '*~>'.includes(type) ? size : type === '%' ? 2 * size : type === '|' ? 2 * size + 1 : 0
  for (let value = 0; value < values && end >= 0; value++) end = endOf(bytes, end)
  return end
}
