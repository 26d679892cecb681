import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { OutputDamaged, OutputFile } from './output-file.ts'
import { linkOutput, type RunFolder } from './run-folder.ts'
import { Script } from './scripts.ts'

/** Where in a file, and what. */
interface Bytes {
  readonly start: number
  readonly bytes: Buffer
}
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
 * writes output files. A lost reply, a restart, a dead peer and a full disk are one case, in which the log
 * is read again from its first retained chunk; only as long as nothing of that kind happens are chunks taken
 * from those that this process has just committed. Several writers of one file do no harm, because they
 * write the same bytes at the same offsets.
 */
export class OutputWriter {
  private file: OutputFile | undefined
  /** Up to here this writer knows the file to be as it should; undefined until it has written or compared. */
  private known: number | undefined
  /** Chunks that were committed just now, and follow each other. */
  private recent: { start: number; end: number; lines: string }[] = []
  /** When the file's link was looked at last. */
  private linked = Number.NEGATIVE_INFINITY

  constructor(
    private readonly redis: Redis,
    private readonly keys: Keys,
    private readonly run: RunFolder,
    readonly consumer: string,
  ) {}

  /** Takes note of a chunk that the log got, so that it need not be read from there. */
  committed(end: number, lines: string): void {
    const start = end - Buffer.byteLength(lines)
    if (this.recent.at(-1)?.end !== start) this.recent = []
    this.recent.push({ start, end, lines })
  }

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
        const { file } = this
        const size = await file?.size()
        let next = !forget && file && size === this.known ? this.take(size) : undefined
        if (!next) {
          const [length, chunks] = await this.read(written, forget)
          next = join(chunks, length, this.run.file(this.consumer))
          if (!file || size === undefined) {
            if (length === 0) return 0
            this.file = await OutputFile.open(this.run, this.consumer, next.start)
            continue // and compare its size with what Redis says then
          }
          if (size > length) throw new OutputDamaged('long', file.path, size, length)
          if (chunks.length > 0) await this.verify(file, next, size)
          else if (!forget && written !== undefined) {
            forget = true
            continue
          } else {
            await this.verifyIdle(file, length, size)
            return length
          }
        }
        await file?.write(next.bytes, next.start)
        if (forget) told = asked
        written = this.known = next.start + next.bytes.length
        progress?.(next.bytes.length, written, performance.now() - asked)
        forget = performance.now() - told >= KEPT || !(await more())
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
    this.recent = []
    await file?.close().catch(() => {})
  }

  private read(written: number | '' = '', forget: boolean) {
    return script.runBuffer(
      this.redis,
      [this.keys.head, this.keys.files, this.keys.output(this.consumer)],
      [this.run.epoch, this.consumer, forget ? written : '', CHUNKS, written],
    )
  }

  /** What was committed just now, if it begins where the file ends. */
  private take(start = 0): Bytes | undefined {
    const left = this.recent.filter(chunk => chunk.start >= start)
    const found = left[0]?.start === start ? left.splice(0, CHUNKS) : []
    this.recent = left
    if (found.length === 0) return undefined
    return { start, bytes: Buffer.from(found.map(({ lines }) => lines).join('')) }
  }

  private async verify(file: OutputFile, { start, bytes }: Bytes, size: number) {
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
function join(chunks: Chunk[], length: number, path: string): Bytes {
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
