import { BytePattern } from './byte-pattern.ts'
import { MAX_LINE_BYTES, unreadableKind } from './line-kind.ts'
import type { OutputFile } from './output-files.ts'
import type { PackageTally } from './package-tally.ts'
import { shownLine } from './printable.ts'
import type { Block } from './read-blocks.ts'
import type { TornLine } from './report.ts'
import type { UnreadableLines } from './unreadable-lines.ts'

const NEWLINE = 0x0a
const ZERO = 0x30
const POINT = 0x2e
const CLOSE = 0x29
/** Any number of so many digits fits. */
const DIGITS_OF_32_BITS = 9
/** 2^53 - 1 has 16 digits; timestamps get as many on either side of the point. */
const MOST_DIGITS = 16
const BETWEEN = new BytePattern(' (timestamp: ')

/**
 * Reads the lines of one consumer's file, block by block, in memory that no line's length changes:
 * packages go to `tally`, other lines to `unreadable`.
 *
 * A line is a package only if every byte of it is as the consumer writes it:
 * `Consumer <id> processed package <n> (timestamp: <t>)` and a newline, with the id of this file.
 */
export class LineScanner {
  /** Packages counted, and their lowest and highest number (infinity and 0 when there are none). */
  count = 0
  lowest = Number.POSITIVE_INFINITY
  highest = 0
  /** The last package; 0 when there is none. */
  last = 0

  readonly #file: Pick<OutputFile, 'id' | 'name'>
  readonly #before: BytePattern
  readonly #tally: PackageTally
  readonly #unreadable: UnreadableLines
  #line = 0
  /** The last block's unfinished line. Beyond its capacity the line is too long and only its head is kept. */
  readonly #carry = Buffer.alloc(MAX_LINE_BYTES)
  #carried = 0

  constructor(file: Pick<OutputFile, 'id' | 'name'>, tally: PackageTally, unreadable: UnreadableLines) {
    this.#file = file
    this.#before = new BytePattern(`Consumer ${file.id} processed package `)
    this.#tally = tally
    this.#unreadable = unreadable
  }

  /** Takes the next bytes of the file. Writes into the block's headroom. */
  scan(block: Block): void {
    const { buffer, end } = block
    const newline = buffer.lastIndexOf(NEWLINE, end - 1)
    if (newline < block.start) {
      this.#keep(buffer.subarray(block.start, end))
      return
    }
    const start = this.#joinCarried(block)
    this.#scanLines(buffer, start, newline + 1)
    this.#keep(buffer.subarray(newline + 1, end))
  }

  /** After the last block: the last line when it has no newline, else undefined. */
  tornLine(): TornLine | undefined {
    const bytes = this.#carried
    if (bytes === 0) return undefined
    const text = shownLine(this.#carry.subarray(0, bytes), bytes)
    return { file: this.#file.name, line: this.#line + 1, text, bytes }
  }

  /** Puts the unfinished line in front of the block, or ends it if it is too long. Returns where lines start. */
  #joinCarried({ buffer, start }: Block): number {
    const carried = this.#carried
    if (carried <= MAX_LINE_BYTES) {
      this.#carry.copy(buffer, start - carried, 0, carried)
      this.#carried = 0
      return start - carried
    }
    const newline = buffer.indexOf(NEWLINE, start)
    const bytes = carried + newline - start
    this.#line++
    this.#unreadable.add(this.#file.name, this.#line, 'too-long', bytes, () => shownLine(this.#carry, bytes))
    this.#carried = 0
    return newline + 1
  }

  #keep(bytes: Buffer): void {
    if (this.#carried < MAX_LINE_BYTES) bytes.copy(this.#carry, this.#carried)
    this.#carried += bytes.length
  }

  /** Reads whole lines: `end` is just behind a newline, which is why nothing here looks for the end. */
  #scanLines(buffer: Buffer, start: number, end: number): void {
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    const before = this.#before
    const tally = this.#tally
    let { count, lowest, highest, last } = this
    let line = this.#line
    let at = start
    while (at < end) {
      line++
      const lineStart = at
      if (before.matches(view, at)) {
        at += before.length
        const numberStart = at
        let digit = digitAt(view, at)
        let n = 0
        // No leading zero: n stays 0, which is no package.
        if (digit !== 0) {
          while (digit <= 9) {
            // As a 32-bit integer, which is a quarter faster; too long a number overflows and is read again.
            n = (Math.imul(n, 10) + digit) | 0
            digit = digitAt(view, ++at)
          }
        }
        if (at - numberStart > DIGITS_OF_32_BITS) n = longNumber(view, numberStart, at)
        if (n > 0 && BETWEEN.matches(view, at)) {
          at = timestampEnd(view, at + BETWEEN.length)
          if (at > 0) {
            tally.add(n, line)
            count++
            last = n
            if (n < lowest) lowest = n
            if (n > highest) highest = n
            continue
          }
        }
      }
      at = this.#skipUnreadable(buffer, line, lineStart)
    }
    this.#line = line
    this.count = count
    this.lowest = lowest
    this.highest = highest
    this.last = last
  }

  /** Reports the line that starts at `start`; returns where the next one does. */
  #skipUnreadable(buffer: Buffer, line: number, start: number): number {
    const end = buffer[start] === NEWLINE ? start : buffer.indexOf(NEWLINE, start)
    const bytes = end - start
    const kind =
      bytes > MAX_LINE_BYTES
        ? 'too-long'
        : unreadableKind(buffer.toString('latin1', start, end), this.#file.id)
    this.#unreadable.add(this.#file.name, line, kind, bytes, () => shownLine(buffer.subarray(start, end)))
    return end + 1
  }
}

/** The number whose digits are from `start` to before `end`, or 0 when it is above 2^53 - 1. */
function longNumber(view: DataView, start: number, end: number): number {
  if (end - start > MOST_DIGITS) return 0
  let n = 0
  for (let at = start; at < end; at++) n = n * 10 + digitAt(view, at)
  return n <= Number.MAX_SAFE_INTEGER ? n : 0
}

/** Reads `<t>)` and a newline. Returns the place behind it, or 0 when it is not there. */
function timestampEnd(view: DataView, start: number): number {
  let at = digitsEnd(view, start)
  if (at === start || at - start > MOST_DIGITS) return 0
  if (view.getUint8(at) === POINT) {
    const decimals = at + 1
    at = digitsEnd(view, decimals)
    if (at === decimals || at - decimals > MOST_DIGITS) return 0
  }
  return view.getUint8(at) === CLOSE && view.getUint8(at + 1) === NEWLINE ? at + 2 : 0
}

function digitsEnd(view: DataView, start: number): number {
  let at = start
  while (digitAt(view, at) <= 9) at++
  return at
}

/** The digit at a place; above 9 when it is none (unsigned, so that one comparison is enough). */
function digitAt(view: DataView, at: number): number {
  return (view.getUint8(at) - ZERO) >>> 0
}
