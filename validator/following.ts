import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { CannotAnalyse, unreadable } from './cannot-analyse.ts'
import { FilesTally } from './files-tally.ts'
import { findOutputFiles, type OutputFile } from './output-files.ts'

/** What a file was when it was looked at last. */
interface Look {
  readonly inode: number
  readonly modified: number
  /** Bytes that it has, that were read, and that it was to have. */
  readonly size: number
  readonly read: number
  readonly length: number
  /** The last bytes before `read`; and what stood there at this look where the one before had stopped. */
  readonly end: Buffer
  readonly again: Buffer
}

const DETAILS = 100
/** Bytes by which it is noticed that what was read is not what is there: a line and more. */
const END = 128

/**
 * Output files that grow while they are judged: each look reads what has come since the one before. When anything else
 * was done to a file, all are read anew.
 */
export class Following {
  #tally = new FilesTally({ expect: undefined, detailLimit: DETAILS })
  #looks = new Map<string, Look>()
  #bytesLeft = 0

  get tally(): FilesTally {
    return this.#tally
  }

  /** Bytes that a look which is under way has yet to read. */
  get bytesLeft(): number {
    return this.#bytesLeft
  }

  /**
   * Looks at the files of a run. What a file has beyond its length may still be overwritten: it is read once it is
   * the same at two looks.
   *
   * @param folder the run's files, `runs/<epoch>`
   * @param lengths bytes committed of each, by consumer id, from before this look; one that is not named has 0
   * @returns bytes that each file has, by consumer id
   * @throws {CannotAnalyse} when something cannot be read
   */
  async look(folder: string, lengths: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, number>> {
    const files = await present(folder)
    const looks = new Map<string, Look>()
    const readable: OutputFile[] = []
    let changed = [...this.#looks.keys()].some(name => !files.some(file => file.name === name))
    for (const file of files) {
      const length = lengths.get(file.id) ?? 0
      const before = this.#looks.get(file.name)
      const now = await lookAt(file, length, before)
      changed ||= before !== undefined && differs(before, now)
      looks.set(file.name, now)
      readable.push({ ...file, size: now.read })
    }
    if (changed) this.#tally = new FilesTally({ expect: undefined, detailLimit: DETAILS })
    const total = readable.reduce((sum, { size }) => sum + size, 0)
    this.#bytesLeft = total - this.#tally.bytes
    try {
      await this.#tally.read(readable, read => {
        this.#bytesLeft = Math.max(0, total - read)
      })
      this.#looks = looks
    } catch (error) {
      // What was read of it cannot be told: the next look begins anew.
      this.#tally = new FilesTally({ expect: undefined, detailLimit: DETAILS })
      this.#looks = new Map()
      throw error
    } finally {
      this.#bytesLeft = 0
    }
    return new Map(files.map(({ id, size }) => [id, size]))
  }
}

/** The files; none when there is no folder, or none in it. */
async function present(folder: string): Promise<OutputFile[]> {
  try {
    return await findOutputFiles(folder)
  } catch (error) {
    if (error instanceof CannotAnalyse && (error.reason === 'no-directory' || error.reason === 'no-files'))
      return []
    throw error
  }
}

async function lookAt(file: OutputFile, length: number, before: Look | undefined): Promise<Look> {
  const handle = await open(file.path, constants.O_RDONLY | constants.O_NONBLOCK).catch(cause => {
    throw unreadable(file, cause)
  })
  try {
    const { ino: inode, mtimeMs: modified } = await handle.stat()
    const { size } = file
    const stands = before?.size === size && before.length === length && before.modified === modified
    const read = size <= length || stands ? size : Math.max(length, before?.read ?? 0)
    const bytesBefore = async (at: number) => {
      const { buffer, bytesRead } = await handle.read({
        buffer: Buffer.alloc(Math.min(END, at)),
        position: Math.max(0, at - END),
      })
      return buffer.subarray(0, bytesRead)
    }
    const again = before ? await bytesBefore(before.read) : Buffer.alloc(0)
    return { inode, modified, size, read, length, end: await bytesBefore(read), again }
  } finally {
    await handle.close()
  }
}

/** Whether something else was done to a file than that it grew. */
function differs(before: Look, now: Look): boolean {
  if (now.inode !== before.inode || now.size < before.read || !now.again.equals(before.end)) return true
  // It was read beyond its length, and has been written over since.
  if (before.read > before.length && now.length !== before.length) return true
  return now.size === before.size && now.length === before.length && now.modified !== before.modified
}
