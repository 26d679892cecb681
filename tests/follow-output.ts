import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

interface Followed {
  readonly inode: bigint
  /** The whole lines read so far. */
  text: string
}

/**
 * Reads the output files while they are being written, as anybody can: by the names `consumer_<id>.txt`, and whole
 * lines only. What it has read must stay: a name may not vanish or lead to another file, a file may not become
 * shorter, and in the end the files hold, line for line, what was read.
 */
export class OutputFollower {
  /** Lines read so far. */
  lines = 0
  private readonly files = new Map<string, Followed>()
  private readonly following: Promise<void>
  private ended = false

  constructor(private readonly directory: string) {
    this.following = this.follow()
    this.following.catch(() => {}) // `end` tells
  }

  /** Waits until so many lines have been read. */
  async has(lines: number): Promise<void> {
    while (this.lines < lines) await Promise.race([this.following, sleep(10)])
  }

  /** To be called when nothing is written any more. Throws if anything that was read is not as it was. */
  async end(): Promise<void> {
    this.ended = true
    await this.following
    await this.look()
    for (const [name, { text }] of this.files)
      if (text !== (await readFile(join(this.directory, name), 'latin1')))
        throw new Error(`${name} is not what was read of it`)
  }

  private async follow(): Promise<void> {
    while (!this.ended) {
      await this.look()
      await sleep(5)
    }
  }

  private async look(): Promise<void> {
    const there = await readdir(this.directory).catch(() => [])
    const names = there.filter(name => /^consumer_.*\.txt$/.test(name))
    for (const name of this.files.keys()) if (!names.includes(name)) throw new Error(`${name} has vanished`)
    for (const name of names) await this.read(name)
  }

  private async read(name: string): Promise<void> {
    const handle = await open(join(this.directory, name))
    try {
      const { ino: inode, size } = await handle.stat({ bigint: true })
      const known = this.files.get(name) ?? { inode, text: '' }
      if (known.inode !== inode) throw new Error(`${name} leads to another file`)
      const from = known.text.length // a character is a byte
      if (Number(size) < from) throw new Error(`${name} has become shorter: ${from} bytes, now ${size}`)
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(Number(size) - from), { position: from })
      const whole = buffer.subarray(0, bytesRead).lastIndexOf('\n') + 1
      const text = buffer.toString('latin1', 0, whole)
      known.text += text
      this.lines += text.split('\n').length - 1
      this.files.set(name, known)
    } finally {
      await handle.close()
    }
  }
}
