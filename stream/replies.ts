import type { Redis } from 'ioredis'

export type Entry = [id: string, fields: string[]]
type Value = string | null | Value[]

const ZERO = 48
const [CR, MINUS, ARRAY, MAP, BULK, NULL] = Buffer.from('\r-*%$_')
const INSTEAD = Buffer.from('+OK\r\n')

/**
 * Decodes what Redis answers to XREADGROUP on a connection that has nothing else under way. The decoder of ioredis 6.0
 * takes six times as long: it makes a Buffer of each string first, and emulates private fields by WeakMaps. All else
 * remains its own: it is given `OK` in place of entries, and whatever holds none (nothing to read, an error) as it is.
 */
export class Replies {
  private entries: Entry[] | undefined

  constructor({ stream }: Redis) {
    if (!stream) return // a simulated connection has none
    const decoders = stream.listeners('data') as ((chunk: Buffer) => void)[]
    const forward = (chunk: Buffer) => {
      for (const decode of decoders) decode.call(stream, chunk)
    }
    let decoder: Decoder | undefined
    stream.removeAllListeners('data')
    stream.prependListener('data', (chunk: Buffer) => {
      const begins = (chunk[0] === ARRAY || chunk[0] === MAP) && chunk[1] !== MINUS
      if (!decoder && !begins) return forward(chunk)
      decoder ??= new Decoder()
      try {
        const reply = decoder.write(chunk)
        if (!reply) return
        decoder = undefined
        this.entries = entriesOf(reply)
        forward(INSTEAD)
      } catch (error) {
        stream.destroy(error as Error)
      }
    })
  }

  /** The entries that were answered last; undefined when there were none, or ioredis has decoded them. */
  take(): Entry[] | undefined {
    const { entries } = this
    this.entries = undefined
    return entries
  }
}

/** Of one stream: `[[name, entries]]`, or as a map (RESP3) `[name, entries]`. */
function entriesOf(reply: Value[]): Entry[] {
  const [first, second] = reply
  return (Array.isArray(first) ? first[1] : second) as Entry[]
}

/** Decodes one array of strings, nulls and arrays; a map is an array of keys and values. */
export class Decoder {
  /** What was written and not yet decoded, how many bytes that is, and how many it takes at least to go on. */
  private rest: Buffer[] = []
  private size = 0
  private wanted = 0
  private readonly open: { values: Value[]; filled: number }[] = []

  /**
   * Takes the next bytes of it, as many as there are. Returns the array once it is complete.
   *
   * @throws when it is anything else, or more than one
   */
  write(chunk: Buffer): Value[] | undefined {
    this.rest.push(chunk)
    this.size += chunk.length
    if (this.size < this.wanted) return undefined
    const bytes = this.rest.length === 1 ? chunk : Buffer.concat(this.rest, this.size)
    for (let at = 0; ; ) {
      // A type, a length, and the end of the line.
      const type = bytes[at]
      let next = at + 1
      const negative = bytes[next] === MINUS
      if (negative) next++
      let length = 0
      for (let byte = bytes[next]; byte !== CR; byte = bytes[++next]) {
        if (byte === undefined) return this.keep(bytes, at, 0)
        if (byte < ZERO || byte > ZERO + 9) throw unexpected(bytes, at)
        length = length * 10 + byte - ZERO
      }
      next += 2
      if (next > bytes.length) return this.keep(bytes, at, next - at)
      let value: Value
      if (negative || type === NULL) value = null
      else if (type === BULK) {
        const end = next + length
        if (end + 2 > bytes.length) return this.keep(bytes, at, end + 2 - at)
        value = bytes.toString('utf8', next, end)
        next = end + 2
      } else if (type === ARRAY || type === MAP) {
        value = new Array<Value>(type === MAP ? 2 * length : length)
        if (length > 0) this.open.push({ values: value, filled: 0 })
      } else throw unexpected(bytes, at)
      at = next
      if (Array.isArray(value) && value.length > 0) continue
      for (;;) {
        const top = this.open.at(-1)
        if (!top) {
          if (at < bytes.length) throw unexpected(bytes, at)
          return value as Value[]
        }
        top.values[top.filled++] = value
        if (top.filled < top.values.length) break
        value = top.values
        this.open.pop()
      }
    }
  }

  private keep(bytes: Buffer, from: number, wanted: number): undefined {
    this.rest = [bytes.subarray(from)]
    this.size = bytes.length - from
    this.wanted = wanted
  }
}

function unexpected(bytes: Buffer, at: number): Error {
  return new Error(`unexpected in a reply of Redis: ${JSON.stringify(bytes.toString('latin1', at, at + 20))}`)
}
