import type { UnreadableKind } from './line-kind.ts'

/** A file's share of the work. */
export interface ConsumerSummary {
  id: string
  /** File name, without the directory. */
  file: string
  /** Lines that count as a package. */
  count: number
  /** Part of all processed packages, 0 to 1. */
  share: number
  /** Lowest and highest package, null when there is none. */
  first: number | null
  last: number | null
  /** Lines that count as none, the torn one not among them. */
  unreadable: number
  /** Whether the file ends in a line without its newline. */
  torn: boolean
  bytes: number
}

/** A package that stands in more than one line. */
export interface DuplicatePackage {
  package: number
  times: number
  /** Who processed it and how often; the first 100 of them. */
  consumers: { id: string; times: number }[]
  /** How many consumers beyond those. */
  moreConsumers: number
}

/** Packages that no line has, both ends included. */
export interface MissingRange {
  from: number
  to: number
}

/** Packages that are dead letters for one reason. */
export interface DeadPackages {
  reason: string
  count: number
  /** The first of them, in ascending order. */
  packages: number[]
}

/** A package above the highest expected, with the first line that has it. */
export interface UnexpectedPackage {
  package: number
  file: string
  line: number
}

/** A line that is no package. */
export interface UnreadableLine {
  file: string
  /** 1-based. */
  line: number
  kind: UnreadableKind
  /** The first 80 bytes in printable ASCII, others as `\xNN`. */
  text: string
  /** Length of the whole line without its newline. */
  bytes: number
}

/** A last line without its newline: its writer was stopped, or is still writing. */
export interface TornLine {
  file: string
  /** 1-based. */
  line: number
  /** As for an unreadable line. */
  text: string
  bytes: number
}

/**
 * What the output files hold, as plain JSON. Totals are complete; lists hold the first `detailLimit`
 * entries, and `truncated` says which of them are longer than that.
 */
export interface Report {
  verdict: 'ok' | 'issues'
  outputDir: string
  /** Highest package that should be there, null when that was not said. */
  expect: number | null
  totals: {
    files: number
    bytes: number
    /** Lines that count as a package: `unique + repeats + untracked`. */
    processed: number
    /** Different packages. */
    unique: number
    /** Packages that stand in more than one line. */
    duplicates: number
    /** Lines beyond the first of their package. */
    repeats: number
    /** Packages from 1 to `expect`, or to the highest seen, that no line has, dead letters not among them. */
    missing: number
    missingRanges: number
    /** Packages above `expect`. */
    unexpected: number
    /** Lines that are no package, the torn ones not among them. */
    unreadable: number
    /** Files whose last line has no newline. */
    torn: number
    /**
     * Lines with package numbers so far beyond the number of lines, and so many of them, that they were not
     * checked for duplicates: `duplicates`, `repeats` and `unexpected` are then lower bounds, `missing` is
     * an upper one. Never above 0 when the verdict is ok.
     */
    untracked: number
    /** Only when dead letters were given: those that no line has, by right, and those that stand in a line as well. */
    dead?: number
    deadProcessed?: number
  }
  /** Lowest and highest package of all, null when there is none. */
  range: { first: number; last: number } | null
  /** One for each file, by file name. */
  consumers: ConsumerSummary[]
  /** The first ones found, in ascending order. */
  duplicates: DuplicatePackage[]
  /** The lowest packages first. */
  missing: MissingRange[]
  /** Only when dead letters were given: those that no line has, by reason, the most frequent first. */
  dead?: DeadPackages[]
  /** The first of those that stand in a line as well, in ascending order. */
  deadProcessed?: number[]
  /** In the order of files and lines. */
  unexpected: UnexpectedPackage[]
  /** In the order of files and lines. */
  unreadable: UnreadableLine[]
  /** All unreadable lines, by what is wrong with them. */
  unreadableKinds: Partial<Record<UnreadableKind, number>>
  /** In the order of files. */
  torn: TornLine[]
  truncated: {
    duplicates: boolean
    missing: boolean
    unexpected: boolean
    unreadable: boolean
    torn: boolean
  }
}
