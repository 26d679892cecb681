const BACKSLASH = 0x5c
const SHOWN_BYTES = 80

/**
 * Text with everything a terminal could act on replaced by `\u{hex}`: control characters, invisible and
 * direction-changing ones, line separators. Letters of any language stay. For paths and messages.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    char => `\\u{${char.codePointAt(0)?.toString(16)}}`,
  )
}

/**
 * Bytes of a line as plain ASCII: printable characters as they are, a backslash doubled, every other byte
 * as `\xNN`. Only the first 80 bytes are shown; `…` stands for the rest.
 *
 * @param length bytes in the whole line, when `bytes` is only its beginning
 */
export function shownLine(bytes: Uint8Array, length: number = bytes.length): string {
  let text = ''
  for (const byte of bytes.subarray(0, SHOWN_BYTES)) {
    if (byte === BACKSLASH) text += '\\\\'
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    else text += `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return length > SHOWN_BYTES ? `${text}…` : text
}

/** JSON in ASCII only: the same value, with no byte in it that a terminal could act on. `indent` 0: on one line. */
export function asciiJson(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\uffff]/g,
    unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
