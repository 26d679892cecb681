import { closeSync, constants, openSync, readSync } from 'node:fs'
import { CannotAnalyse, unreadable } from './cannot-analyse.ts'
import { MAX_LINE_BYTES } from './line-kind.ts'
import type { OutputFile } from './output-files.ts'

/** Bytes free in front of a block's data: room for the unfinished line of the block before. */
const HEADROOM = MAX_LINE_BYTES

/** Bytes behind a block's data, so that a word read that begins inside it never ends outside the buffer. */
const SLACK = 8

// Small enough to stay in a core's second-level cache between being read and being scanned, by the same
// core: reading ahead in another thread takes more time than it saves.
const BLOCK_BYTES = 256 * 1024

/**
 * `buffer[start]` to `buffer[end - 1]` are file content; everything around it may be overwritten, and in
 * front of it there is room for a line of `MAX_LINE_BYTES`.
 */
export interface Block {
  buffer: Buffer
  start: number
  end: number
}

/**
 * Reads a file from byte `from` to before byte `file.size` in blocks. They all use the same buffer: a block is valid only
 * until the next one is asked for.
 *
 * @throws {CannotAnalyse} `unreadable-file` when it cannot be opened or read, `file-shrank` when it has
 *   become shorter than `file.size`
 */
export function* readBlocks(file: OutputFile, blockBytes: number = BLOCK_BYTES, from = 0): Generator<Block> {
  if (from >= file.size) return
  const buffer = Buffer.allocUnsafeSlow(HEADROOM + blockBytes + SLACK)
  // Without O_NONBLOCK a file replaced by a named pipe since the listing would block for ever.
  const fd = attempt(file, () => openSync(file.path, constants.O_RDONLY | constants.O_NONBLOCK))
  try {
    let position = from
    while (position < file.size) {
      const wanted = Math.min(blockBytes, file.size - position)
      const bytes = attempt(file, () => readSync(fd, buffer, HEADROOM, wanted, position))
      if (bytes === 0) throw shrank(file, position)
      position += bytes
      yield { buffer, start: HEADROOM, end: HEADROOM + bytes }
    }
  } finally {
    closeSync(fd)
  }
}

function attempt<T>(file: OutputFile, operation: () => T): T {
  try {
    return operation()
  } catch (cause) {
    throw unreadable(file, cause)
  }
}

function shrank(file: OutputFile, position: number): CannotAnalyse {
  return new CannotAnalyse('file-shrank', {
    path: file.path,
    what: `${file.path} shrank from ${file.size} to ${position} bytes while it was read`,
    hint: 'Something truncated or replaced it: validate again when that is over.',
  })
}
