import { CannotAnalyse } from './cannot-analyse.ts'
import { DeadLetters } from './dead-letters.ts'
import { FilesTally, type ReadFile } from './files-tally.ts'
import { findOutputFiles } from './output-files.ts'
import type { ConsumerSummary, Report } from './report.ts'
import { issues } from './verdict.ts'

const MOST_DETAILS = 100_000

/** What to validate. */
export interface ValidateOptions {
  /** Directory with the files `consumer_<id>.txt`; other files and subdirectories are not looked at. */
  outputDir: string
  /**
   * How many packages there should be: exactly 1 to `expect`. Default: 1 to the highest found, so that
   * packages lost at the very end go unnoticed.
   */
  expect?: number | undefined
  /**
   * Packages that are dead letters, each with its reason: no line should have them, and they are not missing. They
   * count as given out, so without `expect` all up to the highest of them should be there.
   */
  dead?: ReadonlyMap<number, string> | undefined
  /** What to call the directory in the report. Default: itself. */
  label?: string | undefined
  /** How many entries of each list the report keeps, 0 to 100,000. Default 1,000. Totals are complete anyway. */
  detailLimit?: number | undefined
  /** Called after every 16 MiB, and at the end. */
  onProgress?: ((bytesRead: number, bytesTotal: number) => void) | undefined
}

/**
 * Reads the consumers' output files once, from beginning to end, and says whether every package was
 * processed exactly once. Lines may stand in any order.
 *
 * Files may be appended to meanwhile: what they hold at the start is validated. Memory is one byte for each
 * package number (two from 127 files on), whatever is wrong with the files.
 *
 * Files without a single line are fine when `expect` is 0 and missing packages when it is more. Without
 * `expect` there is nothing to hold them against: that is `no-packages`.
 *
 * @throws {CannotAnalyse} when there is no directory, no file or nothing in any file, when something cannot
 *   be read, or when an option is out of its range
 */
export async function validate(options: ValidateOptions): Promise<Report> {
  const { outputDir, expect, dead, label, detailLimit = 1_000, onProgress } = options
  checkWholeNumber('expect', expect, Number.MAX_SAFE_INTEGER)
  checkWholeNumber('detailLimit', detailLimit, MOST_DETAILS)

  const files = await findOutputFiles(outputDir)
  const bytes = files.reduce((sum, file) => sum + file.size, 0)
  if (bytes === 0 && expect === undefined && !dead?.size) throw noPackages(outputDir, files.length)

  const all = new FilesTally({ expect, detailLimit })
  await all.read(files, onProgress)
  const { packages: tally, unreadable, processed, highest } = all
  const torn = all.files.flatMap(({ scanner }) => scanner.tornLine() ?? [])
  const consumers = all.files.map(summary)
  const lowest = all.files.reduce(
    (least, { scanner }) => Math.min(least, scanner.lowest),
    Number.POSITIVE_INFINITY,
  )
  for (const consumer of consumers) {
    if (consumer.count > 0) consumer.share = consumer.count / processed
  }

  const letters = dead && new DeadLetters(dead, expect ?? Number.POSITIVE_INFINITY, n => tally.has(n))
  const missing = tally.missing(Math.max(highest, letters?.highest ?? 0), letters?.absent)
  const duplicates = tally.duplicates(files.map(file => file.id))
  const unexpected = tally.unexpected()
  const totals = {
    files: files.length,
    bytes,
    processed,
    unique: tally.unique,
    duplicates: tally.duplicated,
    repeats: processed - tally.unique - tally.untracked,
    missing: missing.count,
    missingRanges: missing.rangeCount,
    unexpected: tally.beyondExpected,
    unreadable: unreadable.total,
    torn: torn.length,
    untracked: tally.untracked,
    ...letters?.totals,
  }
  return {
    verdict: issues(totals).length === 0 ? 'ok' : 'issues',
    outputDir: label ?? outputDir,
    expect: expect ?? null,
    totals,
    range: processed === 0 ? null : { first: lowest, last: highest },
    consumers,
    duplicates,
    missing: missing.ranges,
    ...letters?.lists(detailLimit),
    unexpected,
    unreadable: unreadable.first,
    unreadableKinds: unreadable.kinds,
    torn: torn.slice(0, detailLimit),
    truncated: {
      duplicates: duplicates.length < tally.duplicated,
      missing: missing.ranges.length < missing.rangeCount,
      unexpected: unexpected.length < tally.beyondExpected,
      unreadable: unreadable.first.length < unreadable.total,
      torn: torn.length > detailLimit,
    },
  }
}

function checkWholeNumber(name: string, value: number | undefined, most: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0 && value <= most)) return
  throw new CannotAnalyse('bad-option', {
    path: name,
    what: `${name} is ${value}`,
    hint: `It must be a whole number from 0 to ${most}.`,
  })
}

function noPackages(outputDir: string, files: number): CannotAnalyse {
  return new CannotAnalyse('no-packages', {
    path: outputDir,
    what: `no lines in ${files === 1 ? 'the only file' : `any of the ${files} files`} in ${outputDir}`,
    hint: 'Run the pipeline first, or say how many packages to expect.',
  })
}

function summary({ file, scanner, unreadable }: ReadFile): ConsumerSummary {
  const { count, lowest, highest } = scanner
  const range = count === 0 ? { first: null, last: null } : { first: lowest, last: highest }
  const torn = scanner.tornLine() !== undefined
  return { id: file.id, file: file.name, count, share: 0, ...range, unreadable, torn, bytes: file.size }
}
