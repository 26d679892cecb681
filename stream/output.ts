import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { OutputDamaged, OutputFile } from './output-file.ts'
import { linkOutput, type RunFolder } from './run-folder.ts'
import { Script } from './scripts.ts'

type Chunk = [id: Buffer, fields: [name: Buffer, bytes: Buffer]]
const script = new Script<[length: number, chunks: Chunk[]]>('output')

/** Chunks fetched from the log at once. A chunk is one commit, 1 MB at most. */
const CHUNKS = 16

/** Ms between two looks at the link to the file. */
const RELINK = 1000

/** Ms that Redis keeps what is on disk already, while there is more to write: to forget is a write, which it syncs. */
const KEPT = 100

/**
 * Writes one consumer's file from its output log, and lets Redis forget what is on disk. Nothing else
 * writes output files, and nothing is written from memory: a lost reply, a restart, a dead peer and a
 * full disk are one case, in which the log is read again from its first retained chunk. Several writers
 * of one file do no harm, because they write the same bytes at the same offsets.
 */
export class OutputWriter {
  private file: OutputFile | undefined
  /** Up to here this writer knows the file to be as it should; undefined until it has written or compared. */
  private known: number | undefined
  /** When the file's link was looked at last. */
  private linked = Number.NEGATIVE_INFINITY

  constructor(
    private readonly redis: Redis,
    private readonly keys: Keys,
    private readonly run: RunFolder,
    readonly consumer: string,
  ) {}

  /**
   * Writes until the log is empty. Returns the length of the file. After an error the next call starts over from what
   * Redis holds.
   *
   * @param progress called with (bytes written, offset reached, ms) for each step
   * @param more asked when all that was there is on disk: whether there is, or soon comes, more
   * @throws {OutputDamaged} the file is not what Redis says that it is
   * @throws system errors, such as ENOSPC; `RedisError` EPOCH; `ConnectionLost`
   */
  async flush(
    progress?: (bytes: number, to: number, ms: number) => void,
    more: () => Promise<boolean> = async () => false,
  ): Promise<number> {
    try {
      let written: number | undefined
      let told = performance.now()
      let forget = false
      for (;;) {
        if (forget && this.file && written !== undefined) await this.file.verifyPath(written)
        const asked = performance.now()
        // The size comes first: everything that was in the file by then was in Redis before.
        const size = await this.file?.size()
        const [length, chunks] = await this.next(written, forget)
        const { start, bytes } = join(chunks, length, this.run.file(this.consumer))
        if (!this.file || size === undefined) {
          if (length === 0) return 0
          this.file = await OutputFile.open(this.run, this.consumer, start)
          continue // and compare its size with what Redis says then
        }
        if (size > length) throw new OutputDamaged('long', this.file.path, size, length)
        if (chunks.length > 0) {
          await this.verify(this.file, start, bytes, size)
          await this.file.write(bytes, start)
          if (forget) told = asked
          written = this.known = start + bytes.length
          progress?.(bytes.length, written, performance.now() - asked)
          forget = performance.now() - told >= KEPT || !(await more())
        } else if (forget || written === undefined) {
          await this.verifyIdle(this.file, length, size)
          return length
        } else forget = true
      }
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** Opens (and so creates) the file, so that it is there before the first line is. */
  async create(length: number): Promise<void> {
    // With a log still to be written the file may rightly be shorter, or not there yet: flush sees to it.
    if (length === 0) this.file ??= await OutputFile.open(this.run, this.consumer, 0)
  }

  /** Closes the file; the next flush opens it anew and takes nothing for granted. */
  async close(): Promise<void> {
    const file = this.file
    this.file = undefined
    this.known = undefined
    await file?.close().catch(() => {})
  }

  private next(written: number | '' = '', forget: boolean) {
    return script.runBuffer(
      this.redis,
      [this.keys.head, this.keys.files, this.keys.output(this.consumer)],
      [this.run.epoch, this.consumer, forget ? written : '', CHUNKS, written],
    )
  }

  private async verify(file: OutputFile, start: number, bytes: Buffer, size: number) {
    const now = size >= start ? size : await file.size() // another writer may have been ahead of the look at Redis
    if (now < start) throw new OutputDamaged('short', file.path, now, start)
    // Beyond what this writer knows there can only be what another one wrote from the same log.
    if (this.known === start && size > start) {
      const there = await file.read(start, Math.min(size - start, bytes.length))
      if (!there.equals(bytes.subarray(0, there.length)))
        throw new OutputDamaged('long', file.path, size, start)
    }
  }

  /** With nothing left to write, the file has exactly the length that Redis knows. */
  private async verifyIdle(file: OutputFile, length: number, size: number): Promise<void> {
    const now = size >= length ? size : await file.size() // another writer may have been ahead of the look before
    if (now < length) throw new OutputDamaged('short', file.path, now, length)
    this.known = length
    await file.verifyPath(length)
    if (performance.now() - this.linked < RELINK) return
    await linkOutput(this.run, this.consumer)
    this.linked = performance.now()
  }
}

/** Joins chunks that follow each other without a gap. Without chunks, `start` is where the next one goes. */
function join(chunks: Chunk[], length: number, path: string): { start: number; bytes: Buffer } {
  let start: number | undefined
  let at = 0
  for (const [id] of chunks) {
    const [end, length] = id.toString().split('-').map(Number) as [number, number]
    start ??= at = end - length
    if (end - length !== at) throw new OutputDamaged('hole', path, at, end - length)
    at = end
  }
  return { start: start ?? length, bytes: Buffer.concat(chunks.map(([, [, bytes]]) => bytes)) }
}
