import type { Writable } from 'node:stream'
import { CannotAnalyse } from './cannot-analyse.ts'
import { formatReport } from './format-report.ts'
import { asciiJson, printable } from './printable.ts'
import { progressLine } from './progress.ts'
import { validate } from './validate.ts'
import { exitCode } from './verdict.ts'

/** What the command was asked for. */
export interface RunValidateOptions {
  /** Directory with the files `consumer_<id>.txt`. */
  outputDir: string
  /** How many packages there should be, 1 to `expect`. Default: 1 to the highest found. */
  expect?: number | undefined
  /** What to call the directory in the report. Default: itself. */
  label?: string | undefined
  /** Packages that are dead letters, each with its reason. Default: nothing is known of any. */
  dead?: ReadonlyMap<number, string> | undefined
  /** Print all that the report holds, up to 1,000 entries of each list; else the first 20. */
  verbose: boolean
  /** Print the report as JSON, in which `verbose` changes nothing. */
  json: boolean
}

/** Where it prints to, `process` for one. Neither stream is closed. */
export interface Out {
  stdout: Writable & { hasColors?(): boolean }
  stderr: Writable & { isTTY?: boolean }
}

/**
 * The `validate` command: validates a directory, prints the report and returns the exit code: 0 when every
 * package was processed exactly once, 1 when there are issues, 2 when there is no verdict.
 *
 * The report goes to `stdout`. Without a verdict, one line on `stderr` says what is wrong, where and what to
 * do, and with `json` an object `{ error: { reason, message, path, hint } }` goes to `stdout` too. It
 * returns when all is written, so that the process may exit at once, and rejects for no reason: whatever
 * else goes wrong is 2 as well, because a process that fails with an error exits with 1.
 */
export async function runValidate(options: RunValidateOptions, out: Out): Promise<0 | 1 | 2> {
  const { outputDir, expect, dead, label, verbose, json } = options
  const progress = progressLine(out.stderr)
  try {
    const report = await validate({ outputDir, expect, dead, label, onProgress: progress.update })
    progress.clear()
    const color = out.stdout.hasColors?.() ?? false
    await print(out.stdout, json ? `${asciiJson(report)}\n` : formatReport(report, { verbose, color }))
    return exitCode(report)
  } catch (error) {
    progress.clear()
    const known = error instanceof CannotAnalyse
    const message = known ? error.message : printable(`internal error: ${error}`)
    const hint = known ? error.hint : 'This is a fault of the validator.'
    await print(out.stderr, `Cannot validate: ${message}. ${hint}\n`)
    if (json) {
      const { reason, path } = known ? error : { reason: 'internal-error', path: outputDir }
      await print(out.stdout, `${asciiJson({ error: { reason, message, path, hint } })}\n`)
    }
    return 2
  }
}

/** Writes and waits until it is written. A reader that has gone away, as in `| head`, is no failure. */
function print(stream: Writable, text: string): Promise<void> {
  return new Promise(resolve => {
    // A failed write calls back and then emits `error`, which would end the process if nobody listened.
    const ignore = () => {}
    stream.once('error', ignore)
    stream.write(text, error => {
      if (!error) stream.off('error', ignore)
      resolve()
    })
  })
}
