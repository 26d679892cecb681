/** Bytes of the longest line that is looked at; the longest valid one has 154. */
export const MAX_LINE_BYTES = 1024

/** What is wrong with a line that does not count as a package. */
export type UnreadableKind =
  /** Nothing before the newline. */
  | 'empty-line'
  /** More than 1,024 bytes. */
  | 'too-long'
  /** Has NUL bytes in it, as after a crash of the file system. */
  | 'nul-bytes'
  /** Ends in CR LF, not in LF. */
  | 'carriage-return'
  /** Package 007. */
  | 'number-leading-zero'
  /** Package 0 or a negative one. */
  | 'number-not-positive'
  /** Package beyond 2^53 - 1. */
  | 'number-too-large'
  /** Package that is no whole decimal number, or none at all. */
  | 'number-malformed'
  /** Timestamp that is not seconds, with or without decimals (up to 16 digits each). */
  | 'timestamp-malformed'
  /** In order, but written by another consumer than the file is named for. */
  | 'foreign-consumer'
  /** Everything else: not the form `Consumer <id> processed package <n> (timestamp: <t>)`. */
  | 'malformed'

const FORM = /^Consumer ([A-Za-z0-9_-]{1,64}) processed package (\S*) \(timestamp: (.*)\)$/
const TIMESTAMP = /^[0-9]{1,16}(\.[0-9]{1,16})?$/

/**
 * Names what is wrong with a line that the scanner could not read.
 *
 * @param line its text without the newline, a character a byte (latin1); no longer than `MAX_LINE_BYTES`
 * @param id the consumer whose file it stands in
 */
export function unreadableKind(line: string, id: string): UnreadableKind {
  if (line === '') return 'empty-line'
  if (line.includes('\0')) return 'nul-bytes'
  if (line.endsWith('\r')) return 'carriage-return'
  const form = FORM.exec(line)
  if (form === null) return 'malformed'
  const [, consumer, number = '', timestamp = ''] = form
  return (
    numberKind(number) ??
    (!TIMESTAMP.test(timestamp) ? 'timestamp-malformed' : consumer === id ? 'malformed' : 'foreign-consumer')
  )
}

function numberKind(number: string): UnreadableKind | undefined {
  if (!/^-?[0-9]+$/.test(number)) return 'number-malformed'
  if (number === '0' || number.startsWith('-')) return 'number-not-positive'
  if (number.startsWith('0')) return 'number-leading-zero'
  return Number(number) > Number.MAX_SAFE_INTEGER ? 'number-too-large' : undefined
}
