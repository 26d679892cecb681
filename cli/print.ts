import type { Writable } from 'node:stream'

/**
 * Writes and waits until it is written. Resolves to false when the reader has gone away, as in `| head`, which is no
 * failure; rejects with everything else that keeps it from being written.
 */
export function print(stream: Writable, text: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    // A failed write calls back and then emits `error`, which would end the process if nobody listened.
    const ignore = () => {}
    stream.once('error', ignore)
    stream.write(text, error => {
      if (error) {
        if (GONE.has((error as NodeJS.ErrnoException).code ?? '')) resolve(false)
        else reject(error)
        return
      }
      stream.off('error', ignore)
      resolve(true)
    })
  })
}

const GONE = new Set(['EPIPE', 'ERR_STREAM_DESTROYED'])

/** Prints a line to standard output. */
export function say(line: string): Promise<boolean> {
  return print(process.stdout, `${line}\n`)
}

/** Prints a line to standard error: what is no result. */
export function note(line: string): Promise<boolean> {
  return print(process.stderr, `${line}\n`)
}

/** Ms until anything is shown, and between two updates: in a terminal, and elsewhere. */
const SHOW_AFTER = 1000
const REDRAW = 200
const LINE = 5000
const CLEAR = '\r\x1b[2K'

/** Says on standard error how far work has come that takes longer than a second. */
export class Progress {
  private due = performance.now() + SHOW_AFTER
  private visible = false

  constructor(private readonly out: NodeJS.WriteStream = process.stderr) {}

  update(text: () => string): void {
    const now = performance.now()
    if (now < this.due) return
    this.due = now + (this.out.isTTY ? REDRAW : LINE)
    this.visible = this.out.isTTY
    void print(this.out, this.out.isTTY ? `${CLEAR}${text()}` : `${text()}\n`)
  }

  /** Takes the line away again. */
  clear(): void {
    if (this.visible) void print(this.out, CLEAR)
    this.visible = false
  }
}
