import { join } from 'node:path'
import { expect, test } from 'vitest'
import { line, lines, outputDir, range } from './fixtures.ts'
import { formatReport, type Report, validate } from './index.ts'

/** The report with a directory name that is always the same. */
async function reportOn(contents: Record<string, string>, expected?: number): Promise<Report> {
  return { ...(await validate({ outputDir: await outputDir(contents), expect: expected })), outputDir: 'out' }
}

test('without issues', async () => {
  const report = await reportOn({ a1: lines('a1', [1, 4]), beta: lines('beta', [2]), c: lines('c', [3]) })
  expect(formatReport(report, { verbose: false })).toMatchInlineSnapshot(`
    "======================================================================
    CONVEYOR VALIDATION REPORT
    ======================================================================

    SUMMARY STATISTICS
    ------------------
      Directory:          out
      Files:              3 (225 bytes)
      Total processed:    4
      Unique packages:    4
      Duplicate packages: 0
      Missing packages:   0
      Unreadable lines:   0
      Torn last lines:    0
      Package range:      1 to 4

    CONSUMER BREAKDOWN
    ------------------
      a1    2 packages (50.0%), 1 to 4
      beta  1 package (25.0%), 2 to 2
      c     1 package (25.0%), 3 to 3

    ======================================================================
    NO ISSUES DETECTED: All packages processed exactly once
    ======================================================================
    "
  `)
})

test('with all kinds of issues', async () => {
  const report = await reportOn(
    {
      a: lines('a', [1, 2, 5]) + line('b', 3),
      b: `${lines('b', [2, 2, 12])}\x1b[31mred\nConsumer b proc`,
    },
    8,
  )
  expect(formatReport(report, { verbose: false })).toMatchInlineSnapshot(`
    "======================================================================
    CONVEYOR VALIDATION REPORT
    ======================================================================

    SUMMARY STATISTICS
    ------------------
      Directory:           out
      Files:               2 (410 bytes)
      Total processed:     6
      Unique packages:     4
      Duplicate packages:  1
      Missing packages:    5
      Unreadable lines:    2
      Torn last lines:     1
      Package range:       1 to 12
      Expected range:      1 to 8
      Unexpected packages: 1

    CONSUMER BREAKDOWN
    ------------------
      a  3 packages (50.0%), 1 to 5
      b  3 packages (50.0%), 2 to 12

    DUPLICATE PACKAGES
    ------------------
      Package 2: processed 3 times by consumers [a: 1, b: 2]

    MISSING PACKAGES
    ----------------
      Packages 3 to 4 (2)
      Packages 6 to 8 (3)

    UNEXPECTED PACKAGES
    -------------------
      Package 12: consumer_b.txt, line 3

    UNREADABLE LINES
    ----------------
      foreign-consumer: 1 line
      malformed: 1 line
      consumer_a.txt, line 4: foreign-consumer: "Consumer b processed package 3 (timestamp: 1753553379)"
      consumer_b.txt, line 4: malformed: "\\x1b[31mred"

    TORN LAST LINES
    ---------------
      consumer_b.txt, line 5: no newline: "Consumer b proc"

    ======================================================================
    ISSUES DETECTED: 1 duplicate package, 5 missing packages, 1 unexpected package, 2 unreadable lines, 1 torn last line
    ======================================================================
    "
  `)
})

test('long lists are cut, and less so when verbose', async () => {
  const packages = range(2, 60, 2)
  const report = await reportOn({ a: lines('a', packages), b: lines('b', packages) })
  const text = formatReport(report, { verbose: false })
  expect(text).toContain(
    'Package 40: processed 2 times by consumers [a: 1, b: 1]\n  ... and 10 more (--verbose shows 30)',
  )
  expect(text).toContain('  Package 39\n  ... and 10 more (--verbose shows 30)')
  const verbose = formatReport(report, { verbose: true })
  expect(verbose).toContain('Package 60: processed 2 times by consumers [a: 1, b: 1]')
  expect(verbose).not.toContain('more')
})

test('entries that the report does not hold are counted', async () => {
  const dir = await outputDir({ a: lines('a', range(2, 60, 2)) })
  const report = await validate({ outputDir: dir, detailLimit: 5 })
  expect(formatReport(report, { verbose: true })).toContain('  Package 9\n  ... and 25 more\n')
})

test('nothing expected and nothing there', async () => {
  const text = formatReport(await reportOn({ a: '' }, 0), { verbose: false })
  expect(text).toContain('\nNO ISSUES DETECTED: No packages expected and none processed\n')
})

test('the verdict in colour', async () => {
  const fine = await reportOn({ a: lines('a', [1]) })
  expect(formatReport(fine, { verbose: false, color: true })).toContain(
    '\x1b[32mNO ISSUES DETECTED: All packages processed exactly once\x1b[39m',
  )
  const issues = await reportOn({ a: lines('a', [2]) })
  expect(formatReport(issues, { verbose: false, color: true })).toContain(
    '\x1b[31mISSUES DETECTED: 1 missing package\x1b[39m',
  )
})

test('no terminal sequence gets through, from the directory either', async () => {
  const report = await reportOn({ a: `\x1b]0;title\x07\x9b31m\n\x1b[2J` }, 1)
  const text = formatReport({ ...report, outputDir: join('out', '\x1b[2J') }, { verbose: true })
  expect(text).toMatch(/^[ -~\n…]*$/)
})

test('dead letters are no issue, and are listed as such', async () => {
  const dead = new Map([3, ...range(10, 40)].map(n => [n, n === 3 ? 'rejected' : 'handler failed']))
  const report = await validate({
    outputDir: await outputDir({ a: lines('a', [1, 2, ...range(4, 9)]) }),
    dead,
  })
  const text = formatReport(report, { verbose: false })
  expect(text).toContain('  Dead letters:       32\n  Missing packages:   0\n')
  expect(text).toContain(`
DEAD LETTERS
------------
  handler failed: 31 packages: ${range(10, 29).join(', ')}, and 11 more
  rejected: 1 package: 3
`)
  expect(text).toContain('\nNO ISSUES DETECTED: 8 packages processed exactly once, 32 in the dead letters\n')
})

test('nothing but dead letters', async () => {
  const report = await validate({ outputDir: await outputDir({ a: '' }), dead: new Map([[1, 'rejected']]) })
  expect(formatReport(report, { verbose: false })).toContain(
    'NO ISSUES DETECTED: 0 packages processed exactly once, 1 in the dead letters',
  )
})

test('a dead letter that is in a file is an issue', async () => {
  const outputs = await outputDir({ a: lines('a', [1, 2]) })
  const text = formatReport(await validate({ outputDir: outputs, dead: new Map([[2, 'rejected']]) }), {
    verbose: false,
  })
  expect(text).toContain('\nDEAD LETTERS IN A FILE\n----------------------\n  Package 2\n')
  expect(text).toContain('\nISSUES DETECTED: 1 dead letter in a file\n')
})
