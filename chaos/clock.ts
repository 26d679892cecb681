import { execFile } from 'node:child_process'
import { chmod, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './root.ts'

const run = promisify(execFile)

/** A program whose calendar clock can be moved while it runs. */
export class Clock {
  /** Starts the program with this clock. */
  readonly program: string
  private readonly file: string
  /** The farthest that it has been ahead, ms. */
  private ahead = 0

  private constructor(dir: string) {
    this.program = join(dir, 'with-clock')
    this.file = join(dir, 'clock-offset')
  }

  /** Compiles the shim; rejects without a C compiler (`cc`). */
  static async of(program: string, dir: string): Promise<Clock> {
    const clock = new Clock(dir)
    const shim = join(dir, 'clock.so')
    await run('cc', ['-shared', '-fPIC', '-O2', '-o', shim, join(root, 'chaos/inject/clock.c')])
    await writeFile(clock.file, Buffer.alloc(8))
    await writeFile(
      clock.program,
      `#!/bin/sh\nLD_PRELOAD='${shim}' CLOCK_OFFSET='${clock.file}' exec '${program}' "$@"\n`,
    )
    await chmod(clock.program, 0o755)
    return clock
  }

  /** Moves the clock to `ms` from the machine's. */
  async set(ms: number): Promise<void> {
    this.ahead = Math.max(this.ahead, ms)
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(Math.round(ms * 1000)))
    // In place: the program has the file mapped.
    const file = await open(this.file, 'r+')
    await file.write(bytes, 0, 8, 0).finally(() => file.close())
  }

  /** Moves it to where it was farthest ahead: what was put off until then is due now. */
  settle(): Promise<void> {
    return this.set(this.ahead)
  }
}
