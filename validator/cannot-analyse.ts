import { printable } from './printable.ts'

/** Why no verdict was possible. */
export type CannotAnalyseReason =
  | 'bad-option'
  | 'no-directory'
  | 'unreadable-directory'
  | 'no-files'
  | 'bad-file-name'
  | 'unreadable-file'
  | 'file-shrank'
  | 'no-packages'

/**
 * There is no verdict: neither "fine" nor "issues" would be true. The validator's exit code for it is 2.
 *
 * `message` says what is wrong and where, `hint` what to do about it; both are one line each and safe to
 * print whatever the path holds. `path` is the directory, file or option concerned, as it was given.
 */
export class CannotAnalyse extends Error {
  override readonly name = 'CannotAnalyse'
  readonly reason: CannotAnalyseReason
  readonly path: string
  readonly hint: string

  constructor(
    reason: CannotAnalyseReason,
    details: { path: string; what: string; hint: string; cause?: unknown },
  ) {
    super(printable(details.what), details.cause === undefined ? {} : { cause: details.cause })
    this.reason = reason
    this.path = details.path
    this.hint = printable(details.hint)
  }
}

/** The system's code of a file system error (`ENOENT`, `EACCES`, ...), or its text when it has none. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return String(error)
}

/** A file that cannot be opened or read. */
export function unreadable({ path }: { readonly path: string }, cause: unknown): CannotAnalyse {
  return new CannotAnalyse('unreadable-file', {
    path,
    what: `cannot read ${path} (${errorCode(cause)})`,
    hint: 'Make the file readable for this user.',
    cause,
  })
}
