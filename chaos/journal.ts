import { createHash } from 'node:crypto'
import { createWriteStream, type WriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { Observer } from './proxy.ts'

/**
 * What producers asked Redis to append and what they were told, as seen on the wire: the ground truth of the check.
 * Lines of JSON: `{"asked":"<lane> <counter>","count":n}`, `{"told":"<lane> <counter>","first":n,"count":n}`.
 */
export class Journal {
  private readonly file: WriteStream

  /** @param append SHA-1 of the script that appends */
  constructor(
    path: string,
    private readonly append: string,
  ) {
    this.file = createWriteStream(path)
  }

  /** Notes what passes on a wire. */
  readonly observe: Observer = bytes => {
    const [command, script = '', ...words] = wordsOf(bytes)
    if (!/^EVAL(SHA)?$/i.test(command ?? '')) return undefined
    if (script !== this.append && sha1(script) !== this.append) return undefined
    // 3 stream head lane epoch counter last (count before after k, then k strings)...
    const request = `${words[3]} ${words[5]}`
    let count = 0
    for (let at = 7; at < words.length; at += 4 + Number(words[at + 3])) count += Number(words[at])
    this.note({ asked: request, count })
    return reply => {
      const told = /^\*2\r\n:(\d+)\r\n:(\d+)\r\n$/.exec(reply.toString('latin1'))
      if (told) this.note({ told: request, first: Number(told[1]), count: Number(told[2]) })
    }
  }

  /** Resolves when all that was noted so far can be read. */
  flush(): Promise<void> {
    return new Promise((resolve, reject) => this.file.write('', error => (error ? reject(error) : resolve())))
  }

  async close(): Promise<void> {
    this.file.end()
    await finished(this.file)
  }

  private note(line: object): void {
    this.file.write(`${JSON.stringify(line)}\n`)
  }
}

/** The words of a request: `*<words>`, then `$<bytes>` and the word, each with a line break. */
function wordsOf(request: Buffer): string[] {
  const words: string[] = []
  for (let at = request.indexOf('\n') + 1; at < request.length; ) {
    const start = request.indexOf('\n', at) + 1
    const end = start + Number(request.toString('latin1', at + 1, start - 2))
    words.push(request.toString('utf8', start, end))
    at = end + 2
  }
  return words
}

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex')
