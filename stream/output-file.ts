import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { linkOutput, type RunFolder, syncDirectory } from './run-folder.ts'

const WHAT = {
  missing: 'is missing',
  short: 'was cut short',
  long: 'holds bytes that no consumer wrote',
  replaced: 'was replaced or removed while it was being written',
  hole: 'cannot be continued: its log in Redis has a hole',
}

/** An output file is not what Redis says that it is. Writing on would hide lost or foreign lines. */
export class OutputDamaged extends Error {
  constructor(
    readonly kind: keyof typeof WHAT,
    readonly path: string,
    /** Bytes that the file has. */
    readonly size: number,
    /** Bytes that it should have. */
    readonly expected: number,
  ) {
    super(
      `output file ${path} ${WHAT[kind]} (${size} bytes, expected ${expected}): ` +
        'put the right file back, or move it away and go on with another consumer id or a new run (--fresh)',
    )
    this.name = 'OutputDamaged'
  }
}

/** One consumer's output file, opened for writing at offsets. */
export class OutputFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly inode: bigint,
  ) {}

  /**
   * Opens the file and its link; creates both when `start`, the first offset still to be written, is 0.
   * Throws {@link OutputDamaged} (missing), `OutputRefused`, or a system error.
   */
  static async open(run: RunFolder, consumer: string, start: number): Promise<OutputFile> {
    const path = run.file(consumer)
    let handle: FileHandle
    try {
      handle = await open(path, constants.O_RDWR | (start === 0 ? constants.O_CREAT : 0), 0o644)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || start === 0) throw error
      throw new OutputDamaged('missing', path, 0, start)
    }
    try {
      if (start === 0) await syncDirectory(dirname(path))
      await linkOutput(run, consumer)
      const { ino } = await handle.stat({ bigint: true })
      return new OutputFile(path, handle, ino)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async size(): Promise<number> {
    return (await this.handle.stat()).size
  }

  /** Writes all of `bytes` at `offset`; returns when they are on disk. */
  async write(bytes: Buffer, offset: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await this.handle.write(bytes, at, bytes.length - at, offset + at)).bytesWritten
    }
    await this.handle.datasync()
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const { buffer, bytesRead } = await this.handle.read(Buffer.alloc(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }

  /** Throws {@link OutputDamaged} unless the path still names the file that is being written. */
  async verifyPath(expected: number): Promise<void> {
    const found = await stat(this.path, { bigint: true }).catch(() => undefined)
    if (found?.ino !== this.inode) {
      throw new OutputDamaged('replaced', this.path, Number(found?.size ?? 0), expected)
    }
  }

  close(): Promise<void> {
    return this.handle.close()
  }
}
