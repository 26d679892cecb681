import { DuplicateDetails } from './duplicate-details.ts'
import { MissingRanges } from './missing-ranges.ts'
import type { DuplicatePackage, MissingRange, UnexpectedPackage } from './report.ts'

/** `Consumer a processed package 1 (timestamp: 1)` and a newline. */
const SHORTEST_LINE_BYTES = 46

type Slots = Uint8Array | Uint16Array | Uint32Array

/** Package numbers that the map holds. */
const SPARSE_LIMIT = 100_000
const FEW_SLOTS = 2 ** 16

// Slots cost memory only where packages are: the system hands out zeroed pages when they are first written.
// Enough that a pipeline that lost five packages of six is still counted exactly.
const SLOTS_PER_LINE = 6
const LEAST_SLOTS = 2 ** 26
// 2 GiB of address space. Files of more packages than this (some 140 GB) are not fully checked.
const MOST_SLOTS = 2 ** 31

/**
 * Which packages were seen, each with the file that it was first seen in and whether it came again.
 *
 * Packages up to a bound, a multiple of the lines that the files can hold, have a slot each in one array:
 * 0 is unseen, else the index of the first file + 1, with the top bit set once the package came again.
 * Numbers above go to a map of at most 100,000; any more are only counted, as `untracked`. That never
 * changes the verdict: with a number so far beyond the lines there are, packages are missing (or it is
 * beyond what is expected).
 */
export class PackageTally {
  /** Different packages. */
  unique = 0
  /** Packages seen more than once. */
  duplicated = 0
  /** Packages beyond what is expected. */
  beyondExpected = 0
  /** Lines with numbers that could not be checked for duplicates. */
  untracked = 0

  #slots: Slots = new Uint8Array(FEW_SLOTS)
  readonly #sparse = new Map<number, number>()
  #againBit = 2 ** 7
  #through = 0
  readonly #unseen = new Set<number>()
  readonly #details: DuplicateDetails
  readonly #unexpected: UnexpectedPackage[] = []
  readonly #detailLimit: number
  readonly #expect: number
  #highestSlot = 0
  #file = 0
  #fileName = ''

  /**
   * @param options.expect the highest package expected, if that is known
   * @param options.detailLimit how many packages of each list are kept
   */
  constructor(options: { expect: number | undefined; detailLimit: number }) {
    this.#details = new DuplicateDetails(options.detailLimit)
    this.#detailLimit = options.detailLimit
    this.#expect = options.expect ?? Number.POSITIVE_INFINITY
  }

  /**
   * Makes room, before the first package and whenever there is more to come.
   *
   * @param bytes size of all files together
   * @param files how many there are
   */
  grow(bytes: number, files: number): void {
    const mostLines = Math.ceil(bytes / SHORTEST_LINE_BYTES)
    const wanted =
      mostLines <= SPARSE_LIMIT
        ? FEW_SLOTS
        : Math.min(MOST_SLOTS, Math.max(LEAST_SLOTS, SLOTS_PER_LINE * mostLines))
    const before = this.#slots
    const width = Math.max(files < 2 ** 7 ? 1 : files < 2 ** 15 ? 2 : 4, before.BYTES_PER_ELEMENT)
    // Twice at least, so that files which go on growing are not copied again and again.
    const length =
      wanted <= before.length ? before.length : Math.min(MOST_SLOTS, Math.max(wanted, 2 * before.length))
    if (width === before.BYTES_PER_ELEMENT && length === before.length) return
    const slots = new (width === 1 ? Uint8Array : width === 2 ? Uint16Array : Uint32Array)(length)
    const againBit = 2 ** (8 * width - 1)
    const moved = (slot: number) =>
      (slot & this.#againBit) === 0 ? slot : (slot & (this.#againBit - 1)) | againBit
    if (width === before.BYTES_PER_ELEMENT) slots.set(before.subarray(0, this.#highestSlot + 1))
    else for (let n = 0; n <= this.#highestSlot; n++) slots[n] = moved(before[n] as number)
    for (const [n, slot] of this.#sparse) {
      const now = moved(slot)
      if (n >= length) this.#sparse.set(n, now)
      else {
        slots[n] = now
        this.#sparse.delete(n)
        if (n > this.#highestSlot) this.#highestSlot = n
      }
    }
    this.#slots = slots
    this.#againBit = againBit
  }

  /** Packages added from now on stand in this file. */
  startFile(index: number, name: string): void {
    this.#file = index
    this.#fileName = name
  }

  /** Counts one package, 1 to 2^53 - 1, found in line `line` of the current file. */
  add(n: number, line: number): void {
    if (n >= this.#slots.length) {
      this.#addSparse(n, line)
      return
    }
    const slot = this.#slots[n] as number
    if (slot === 0) {
      this.#slots[n] = this.#file + 1
      if (n > this.#highestSlot) this.#highestSlot = n
      this.#firstSight(n, line)
    } else {
      this.#slots[n] = this.#again(n, slot)
    }
  }

  #addSparse(n: number, line: number): void {
    const slot = this.#sparse.get(n)
    if (slot !== undefined) {
      this.#sparse.set(n, this.#again(n, slot))
    } else if (this.#sparse.size < SPARSE_LIMIT) {
      this.#sparse.set(n, this.#file + 1)
      this.#firstSight(n, line)
    } else {
      this.untracked++
    }
  }

  #firstSight(n: number, line: number): void {
    this.unique++
    if (n <= this.#through) this.#unseen.delete(n)
    if (n <= this.#expect) return
    this.beyondExpected++
    if (this.#unexpected.length < this.#detailLimit) {
      this.#unexpected.push({ package: n, file: this.#fileName, line })
    }
  }

  #again(n: number, slot: number): number {
    if ((slot & this.#againBit) === 0) this.duplicated++
    this.#details.add(n, (slot & (this.#againBit - 1)) - 1, this.#file)
    return slot | this.#againBit
  }

  /** The first packages found to come again, in ascending order. */
  duplicates(consumerIds: readonly string[]): DuplicatePackage[] {
    return this.#details.list(consumerIds)
  }

  /** The first packages beyond what is expected, in the order of the files. */
  unexpected(): UnexpectedPackage[] {
    return this.#unexpected
  }

  /**
   * The packages of 1 to `expect` (to `highest`, the highest seen, when nothing is expected) that no line has.
   * `count` is of packages, `rangeCount` of ranges, of which the lowest are in `ranges`. With `untracked`
   * lines, `count` is an upper bound and only ranges among the packages with slots are counted.
   *
   * @param excused packages that no line has and that are not missing all the same, in ascending order
   */
  missing(
    highest: number,
    excused: readonly number[] = [],
  ): { count: number; rangeCount: number; ranges: MissingRange[] } {
    const top = this.#expect === Number.POSITIVE_INFINITY ? highest : this.#expect
    const gaps = new MissingRanges(this.#detailLimit)
    const slots = this.#slots
    const lastSlot = Math.min(top, this.#highestSlot)
    let next = 0
    for (let n = 1; n <= lastSlot; n++) {
      const isExcused = n === excused[next]
      if (isExcused) next++
      if (isExcused || slots[n] !== 0) gaps.present(n)
    }
    const rest = excused.slice(next)
    if (this.untracked > 0) {
      const bound = Math.min(top, slots.length - 1)
      for (const n of rest) if (n <= bound) gaps.present(n)
      gaps.absentTo(bound)
    } else {
      for (const n of Float64Array.from([...this.#sparse.keys(), ...rest]).sort()) {
        if (n <= top) gaps.present(n)
      }
      gaps.absentTo(top)
    }
    const present = this.unique - this.beyondExpected + excused.filter(n => n <= top).length
    return { count: top - present, rangeCount: gaps.count, ranges: gaps.ranges }
  }

  /**
   * The packages of 1 to `top` that no line has, from now on without those that are met later. At most 100,000 are
   * told; `through` says up to where that is all. `top` is never taken back.
   */
  unseen(top: number): { readonly through: number; readonly packages: ReadonlySet<number> } {
    for (let n = this.#through + 1; n <= top && this.#unseen.size < SPARSE_LIMIT; n++) {
      if (!this.has(n)) this.#unseen.add(n)
      this.#through = n
    }
    return { through: this.#through, packages: this.#unseen }
  }

  /** How many packages above `bound` a line has, and the lowest of them. Looks at all numbers from there on. */
  above(bound: number): { readonly count: number; readonly lowest: number | undefined } {
    let count = 0
    let lowest: number | undefined
    for (let n = bound + 1; n <= this.#highestSlot; n++) {
      if (this.#slots[n] === 0) continue
      count++
      lowest ??= n
    }
    for (const n of this.#sparse.keys()) {
      if (n <= bound) continue
      count++
      if (lowest === undefined || n < lowest) lowest = n
    }
    return { count, lowest }
  }

  /** Whether a line has this package, as far as lines are tracked. */
  has(n: number): boolean {
    return n < this.#slots.length ? this.#slots[n] !== 0 : this.#sparse.has(n)
  }
}
