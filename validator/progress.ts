import type { Writable } from 'node:stream'

const SHOW_AFTER_MS = 1_000
const EVERY_MS = 200
const TO_LINE_START_AND_CLEAR = '\r\x1b[2K'

/** One line on a terminal that says how far the reading is. */
export interface Progress {
  /** Bytes read so far, and in all. */
  update(read: number, total: number): void
  /** Takes the line away again. */
  clear(): void
}

/**
 * Progress for work that takes longer than a second; on anything but a terminal it stays silent.
 *
 * @param now milliseconds of a clock that never goes back
 */
export function progressLine(
  stream: Pick<Writable, 'write'> & { isTTY?: boolean },
  now: () => number = () => performance.now(),
): Progress {
  if (stream.isTTY !== true) return { update() {}, clear() {} }
  let due = now() + SHOW_AFTER_MS
  let visible = false
  return {
    update(read, total) {
      if (now() < due) return
      due = now() + EVERY_MS
      visible = true
      stream.write(
        `${TO_LINE_START_AND_CLEAR}Validating: ${Math.floor((read / total) * 100)}% of ${megabytes(total)}`,
      )
    },
    clear() {
      if (visible) stream.write(TO_LINE_START_AND_CLEAR)
      visible = false
    },
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
