import { execFileSync } from 'node:child_process'
import { appendFileSync, rmSync, truncateSync } from 'node:fs'
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { emptyDir, line, lines, outputDir, range } from './fixtures.ts'
import { type CannotAnalyseReason, exitCode, type Report, validate } from './index.ts'

/** Packages 1 to 30, every third one in each of three files. */
const A = range(1, 30, 3)
const B = range(2, 30, 3)
const C = range(3, 30, 3)
const VALID = { a: lines('a', A), b: lines('b', B), c: lines('c', C) }

/** Validates the valid files with some of them replaced. */
async function validateWith(changed: Record<string, string | Buffer>, options: { expect?: number } = {}) {
  return validate({ outputDir: await outputDir({ ...VALID, ...changed }), ...options })
}

/** Line `number` (1-based) of a file replaced, or removed by ''. */
function withLine(file: string, number: number, replacement: string): string {
  return file
    .split(/(?<=\n)/)
    .map((text, index) => (index === number - 1 ? replacement : text))
    .join('')
}

/** All that can be wrong, without what says nothing. */
function findings({ totals, duplicates, missing, unexpected, unreadable, torn }: Report) {
  const { unreadable: unreadableTotal, torn: tornTotal, untracked } = totals
  expect(unreadable).toHaveLength(unreadableTotal)
  expect(torn).toHaveLength(tornTotal)
  expect(untracked).toBe(0)
  return {
    ...(duplicates.length > 0 && { duplicates }),
    ...(missing.length > 0 && { missing }),
    ...(unexpected.length > 0 && { unexpected }),
    ...(unreadable.length > 0 && { unreadable }),
    ...(torn.length > 0 && { torn }),
  }
}

describe('files in which every package stands once', () => {
  test('are fine', async () => {
    const dir = await outputDir(VALID)
    const report = await validate({ outputDir: dir, expect: 30 })
    const bytes = Buffer.byteLength(VALID.a + VALID.b + VALID.c)
    expect(report).toEqual({
      verdict: 'ok',
      outputDir: dir,
      expect: 30,
      totals: {
        files: 3,
        bytes,
        processed: 30,
        unique: 30,
        duplicates: 0,
        repeats: 0,
        missing: 0,
        missingRanges: 0,
        unexpected: 0,
        unreadable: 0,
        torn: 0,
        untracked: 0,
      },
      range: { first: 1, last: 30 },
      consumers: ['a', 'b', 'c'].map((id, i) => ({
        id,
        file: `consumer_${id}.txt`,
        count: 10,
        share: 1 / 3,
        first: 1 + i,
        last: 28 + i,
        unreadable: 0,
        torn: false,
        bytes: Buffer.byteLength(VALID[id as 'a']),
      })),
      duplicates: [],
      missing: [],
      unexpected: [],
      unreadable: [],
      unreadableKinds: {},
      torn: [],
      truncated: { duplicates: false, missing: false, unexpected: false, unreadable: false, torn: false },
    })
    expect(exitCode(report)).toBe(0)
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
  })

  test('may have them in any order', async () => {
    const report = await validateWith({
      b: lines('b', B.toReversed()),
      c: lines('c', [30, ...C.slice(0, -1)]),
    })
    expect(report.verdict).toBe('ok')
  })

  test('may have their packages swapped between consumers', async () => {
    const report = await validateWith({
      a: withLine(VALID.a, 4, line('a', 11)),
      b: withLine(VALID.b, 4, line('b', 10)),
    })
    expect(report.verdict).toBe('ok')
    expect(report.consumers.map(({ count }) => count)).toEqual([10, 10, 10])
  })

  test('may be empty, when another holds them', async () => {
    const report = await validateWith({ idle: '' })
    expect(report.verdict).toBe('ok')
    expect(report.consumers.at(-1)).toMatchObject({ id: 'idle', count: 0, share: 0, first: null, last: null })
  })

  test('may have timestamps with decimals, and ids of all characters', async () => {
    const id = `${'aZ09_-'.repeat(10)}abcd`
    expect(id).toHaveLength(64)
    const report = await validate({
      outputDir: await outputDir({ [id]: line(id, 1, '1753553379.1234567') + line(id, 2, 0) }),
    })
    expect(report.verdict).toBe('ok')
    expect(report.consumers[0]?.id).toBe(id)
  })

  test('may be links, and stand beside other files', async () => {
    const dir = await outputDir(VALID)
    await mkdir(join(dir, 'run'))
    await rename(join(dir, 'consumer_a.txt'), join(dir, 'run', 'elsewhere'))
    await symlink(join('run', 'elsewhere'), join(dir, 'consumer_a.txt'))
    await writeFile(join(dir, 'consumer.log'), 'no output file')
    await writeFile(join(dir, 'run', 'consumer_d.txt'), line('d', 1))
    const report = await validate({ outputDir: dir })
    expect(report.verdict).toBe('ok')
    expect(report.totals.files).toBe(3)
  })
})

describe('a changed line', () => {
  test('dropped: its package is missing', async () => {
    const report = await validateWith({ b: withLine(VALID.b, 4, '') })
    expect(findings(report)).toEqual({ missing: [{ from: 11, to: 11 }] })
    expect(report.totals).toMatchObject({ processed: 29, unique: 29, missing: 1, missingRanges: 1 })
    expect(exitCode(report)).toBe(1)
  })

  test('dropped at the end: missing only when it is known how many there should be', async () => {
    const dropped = { c: withLine(VALID.c, 10, '') }
    expect(findings(await validateWith(dropped))).toEqual({})
    expect(findings(await validateWith(dropped, { expect: 30 }))).toEqual({ missing: [{ from: 30, to: 30 }] })
  })

  test('repeated in its file', async () => {
    const report = await validateWith({ b: VALID.b + line('b', 11) + line('b', 11) })
    expect(findings(report)).toEqual({
      duplicates: [{ package: 11, times: 3, consumers: [{ id: 'b', times: 3 }], moreConsumers: 0 }],
    })
    expect(report.totals).toMatchObject({ processed: 32, unique: 30, duplicates: 1, repeats: 2 })
    expect(exitCode(report)).toBe(1)
  })

  test('repeated in other files', async () => {
    const report = await validateWith({ b: VALID.b + line('b', 1), c: line('c', 1) + VALID.c + line('c', 1) })
    const consumers = [
      { id: 'a', times: 1 },
      { id: 'b', times: 1 },
      { id: 'c', times: 2 },
    ]
    expect(findings(report)).toEqual({
      duplicates: [{ package: 1, times: 4, consumers, moreConsumers: 0 }],
    })
    expect(exitCode(report)).toBe(1)
  })

  test('with digits swapped: one package twice, another missing', async () => {
    const report = await validateWith({ b: VALID.b.replace('package 20 ', 'package 02 ') })
    expect(report.unreadable).toMatchObject([{ line: 7, kind: 'number-leading-zero' }])
    expect(findings(await validateWith({ c: VALID.c.replace('package 12 ', 'package 21 ') }))).toEqual({
      duplicates: [{ package: 21, times: 2, consumers: [{ id: 'c', times: 2 }], moreConsumers: 0 }],
      missing: [{ from: 12, to: 12 }],
    })
  })

  test('beyond what is expected', async () => {
    const report = await validateWith({ b: `${VALID.b}${line('b', 99)}${line('b', 99)}` }, { expect: 30 })
    expect(findings(report)).toEqual({
      duplicates: [{ package: 99, times: 2, consumers: [{ id: 'b', times: 2 }], moreConsumers: 0 }],
      unexpected: [{ package: 99, file: 'consumer_b.txt', line: 11 }],
    })
    expect(report.totals).toMatchObject({ unexpected: 1, missing: 0 })
    expect(exitCode(report)).toBe(1)
  })

  test('with a huge number, which is a package all the same', async () => {
    const report = await validateWith({ b: VALID.b + line('b', Number.MAX_SAFE_INTEGER) })
    expect(findings(report)).toEqual({ missing: [{ from: 31, to: Number.MAX_SAFE_INTEGER - 1 }] })
    expect(report.totals.missing).toBe(Number.MAX_SAFE_INTEGER - 31)
    expect(report.range).toEqual({ first: 1, last: Number.MAX_SAFE_INTEGER })
  })

  const good = 'Consumer b processed package 11 (timestamp: 1753553379)'
  test.each([
    ['an empty line', '', 'empty-line', ''],
    ['NULs over the number', good.replace('11', '\0\0'), 'nul-bytes', good.replace('11', '\\x00\\x00')],
    ['letters in the number', good.replace('11', '1x'), 'number-malformed', good.replace('11', '1x')],
    ['decimals in the number', good.replace('11', '11.0'), 'number-malformed', good.replace('11', '11.0')],
    ['an exponent', good.replace('11', '1e1'), 'number-malformed', good.replace('11', '1e1')],
    ['a plus sign', good.replace('11', '+11'), 'number-malformed', good.replace('11', '+11')],
    ['no number', good.replace('11', ''), 'number-malformed', good.replace('11', '')],
    ['leading zeros', good.replace('11', '007'), 'number-leading-zero', good.replace('11', '007')],
    ['package 0', good.replace('11', '0'), 'number-not-positive', good.replace('11', '0')],
    ['a negative number', good.replace('11', '-11'), 'number-not-positive', good.replace('11', '-11')],
    [
      '2^53',
      good.replace('11', '9007199254740992'),
      'number-too-large',
      good.replace('11', '9007199254740992'),
    ],
    ['2^32 + 11, 20 digits', good.replace('11', '00000000004294967307'), 'number-leading-zero', undefined],
    ['20 digits', good.replace('11', '42949673070000000000'), 'number-too-large', undefined],
    ['no timestamp field', 'Consumer b processed package 11', 'malformed', 'Consumer b processed package 11'],
    ['an empty timestamp', good.replace('1753553379', ''), 'timestamp-malformed', undefined],
    ['a negative timestamp', good.replace('1753', '-1753'), 'timestamp-malformed', undefined],
    ['a timestamp that ends in its point', good.replace('79)', '79.)'), 'timestamp-malformed', undefined],
    ['a timestamp with two points', good.replace('79)', '79.1.2)'), 'timestamp-malformed', undefined],
    [
      'a timestamp of 17 digits',
      good.replace('1753553379', '1'.repeat(17)),
      'timestamp-malformed',
      undefined,
    ],
    ['CR LF', `${good}\r`, 'carriage-return', `${good}\\x0d`],
    ['an empty line with CR', '\r', 'carriage-return', '\\x0d'],
    ['a space behind', `${good} `, 'malformed', `${good} `],
    ['a space before', ` ${good}`, 'malformed', ` ${good}`],
    ['no consumer', 'processed package 11 (timestamp: 1753553379)', 'malformed', undefined],
    ['two lines run together', `Consumer b proc${good}`, 'malformed', `Consumer b proc${good}`],
    ['another consumer', good.replace('r b', 'r c'), 'foreign-consumer', good.replace('r b', 'r c')],
    ['an id that begins like its own', good.replace('r b', 'r bb'), 'foreign-consumer', undefined],
    ['other case', good.replace('C', 'c'), 'malformed', good.replace('C', 'c')],
    ['escape sequences', `\x1b[2J\x1b]0;x\x07\x9b${good}`, 'malformed', undefined],
    ['1,025 bytes', good.replace('11', '1'.repeat(972)), 'too-long', undefined],
  ])('with %s: not readable', async (_, content, kind, text) => {
    const report = await validateWith({ b: withLine(VALID.b, 4, `${content}\n`) })
    expect(report.unreadable).toEqual([
      { file: 'consumer_b.txt', line: 4, kind, text: expect.any(String), bytes: content.length },
    ])
    if (text !== undefined) expect(report.unreadable[0]?.text).toBe(text)
    expect(report.unreadable[0]?.text).toMatch(/^[ -~]*…?$/)
    expect(report.unreadableKinds).toEqual({ [kind]: 1 })
    expect(report.missing).toEqual([{ from: 11, to: 11 }])
    expect(report.duplicates).toEqual([])
    expect(report.torn).toEqual([])
    expect(report.consumers[1]).toMatchObject({ count: 9, unreadable: 1 })
    expect(exitCode(report)).toBe(1)
  })
})

test('every byte of a line counts', async () => {
  const good = line('b-1', 123, 17)
  const places = range(0, good.length - 2)
  const changed = places.flatMap(i => [
    `${good.slice(0, i)}~${good.slice(i + 1)}`,
    `${good.slice(0, i)}~${good.slice(i)}`,
    // A digit of a number may go, as another is left.
    ...(/[0-9]/.test(good[i] ?? '') && good[i - 1] !== '-' ? [] : [good.slice(0, i) + good.slice(i + 1)]),
  ])
  const report = await validate({ outputDir: await outputDir({ 'b-1': changed.join('') + good }) })
  expect(report.totals).toMatchObject({ unreadable: changed.length, processed: 1 })
})

describe('a file cut off', () => {
  test('at the end of a line lacks the packages behind', async () => {
    const report = await validateWith({ a: lines('a', A.slice(0, 8)) })
    expect(findings(report)).toEqual({
      missing: [
        { from: 25, to: 25 },
        { from: 28, to: 28 },
      ],
    })
  })

  test.each([
    ['in the middle of a line', -20, 'Consumer a processed package 28 (tim'],
    ['before the last newline', -1, 'Consumer a processed package 28 (timestamp: 1753553379)'],
    ['behind the first byte of a line', -55, 'C'],
  ])('%s has a torn line, which is no package', async (_, end, text) => {
    const report = await validateWith({ a: VALID.a.slice(0, end) }, { expect: 30 })
    expect(findings(report)).toEqual({
      missing: [{ from: 28, to: 28 }],
      torn: [{ file: 'consumer_a.txt', line: 10, text, bytes: text.length }],
    })
    expect(report.consumers[0]).toMatchObject({ count: 9, torn: true, unreadable: 0 })
    expect(exitCode(report)).toBe(1)
  })

  test('that is nothing but a torn line is an issue, not an absence of packages', async () => {
    const report = await validate({ outputDir: await outputDir({ a: 'Consumer a' }) })
    expect(report).toMatchObject({
      verdict: 'issues',
      range: null,
      totals: { processed: 0, torn: 1, missing: 0 },
    })
  })
})

test('a line of several blocks is one unreadable line, the lines after it are read', async () => {
  const report = await validateWith({ b: withLine(VALID.b, 4, `${'x'.repeat(2_000_000)}\n`) })
  expect(findings(report)).toEqual({
    missing: [{ from: 11, to: 11 }],
    unreadable: [
      {
        file: 'consumer_b.txt',
        line: 4,
        kind: 'too-long',
        text: `${'x'.repeat(80)}…`,
        bytes: 2_000_000,
      },
    ],
  })
})

describe('without any line', () => {
  test('there is no verdict when nothing is known of what should be there', async () => {
    const outputs = outputDir({ a: '', b: '' })
    await expect(validate({ outputDir: await outputs })).rejects.toMatchObject({
      name: 'CannotAnalyse',
      reason: 'no-packages',
    })
  })

  test('all is fine when no package is expected', async () => {
    const report = await validate({ outputDir: await outputDir({ a: '', b: '' }), expect: 0 })
    expect(report).toMatchObject({ verdict: 'ok', range: null, totals: { processed: 0, missing: 0 } })
  })

  test('all expected packages are missing', async () => {
    const report = await validate({ outputDir: await outputDir({ a: '', b: '' }), expect: 7 })
    expect(report).toMatchObject({ verdict: 'issues', totals: { missing: 7 }, missing: [{ from: 1, to: 7 }] })
  })
})

describe('lists are bounded', () => {
  test('and say so', async () => {
    const even = range(2, 6000, 2)
    const dir = await outputDir({
      a: lines('a', even) + lines('a', even) + '\n'.repeat(3000),
      b: lines('b', range(10_000, 12_999)),
    })
    const report = await validate({ outputDir: dir, expect: 7000 })
    expect(report.totals).toMatchObject({
      duplicates: 3000,
      missing: 4000,
      missingRanges: 3001,
      unexpected: 3000,
      unreadable: 3000,
    })
    expect(report.duplicates).toHaveLength(1000)
    expect(report.missing).toHaveLength(1000)
    expect(report.unexpected).toHaveLength(1000)
    expect(report.unreadable).toHaveLength(1000)
    expect(report.truncated).toEqual({
      duplicates: true,
      missing: true,
      unexpected: true,
      unreadable: true,
      torn: false,
    })
    expect(report.unreadableKinds).toEqual({ 'empty-line': 3000 })
  })

  test('as short as asked for, with the same totals', async () => {
    const dir = await outputDir({ a: `${lines('a', [1, 1, 3, 3, 5])}\n\nx`, b: 'y' })
    const all = await validate({ outputDir: dir })
    for (const detailLimit of [0, 1]) {
      const report = await validate({ outputDir: dir, detailLimit })
      expect(report.totals).toEqual(all.totals)
      for (const list of [report.duplicates, report.missing, report.unreadable, report.torn]) {
        expect(list).toHaveLength(detailLimit)
      }
      expect(report.truncated).toEqual({
        duplicates: true,
        missing: true,
        unexpected: false,
        unreadable: true,
        torn: true,
      })
    }
  })

  test('consumers of one package as well', async () => {
    const ids = range(1, 130).map(i => `c${i}`)
    const dir = await outputDir(Object.fromEntries(ids.map(id => [id, lines(id, [1, 1])])))
    const [duplicate] = (await validate({ outputDir: dir })).duplicates
    expect(duplicate).toMatchObject({ package: 1, times: 260, moreConsumers: 30 })
    expect(duplicate?.consumers).toHaveLength(100)
    expect(duplicate?.consumers.every(({ times }) => times === 2)).toBe(true)
  })
})

describe('while consumers are writing', () => {
  /** More than one turn of the event loop takes. */
  const long = lines('a', range(1, 320_000))

  test('a file is read as far as it went at the start', async () => {
    const dir = await outputDir({ a: long, b: lines('b', range(320_001, 320_010)) })
    let turns = 0
    const report = await validate({
      outputDir: dir,
      onProgress(read, total) {
        expect(read).toBeLessThanOrEqual(total)
        if (turns++ > 0) return
        appendFileSync(join(dir, 'consumer_a.txt'), line('a', 320_012))
        appendFileSync(join(dir, 'consumer_b.txt'), `${line('b', 320_011)}Consumer b`)
      },
    })
    expect(turns).toBe(2)
    expect(report.verdict).toBe('ok')
    expect(report.range?.last).toBe(320_010)
    expect(await validate({ outputDir: dir })).toMatchObject({
      totals: { processed: 320_012, torn: 1 },
      torn: [{ file: 'consumer_b.txt', line: 12 }],
    })
  })

  test('a file that shrinks has no verdict', async () => {
    const dir = await outputDir({ a: long, b: lines('b', range(320_001, 320_010)) })
    const validating = validate({
      outputDir: dir,
      onProgress: () => truncateSync(join(dir, 'consumer_b.txt'), 10),
    })
    await expect(validating).rejects.toMatchObject({
      name: 'CannotAnalyse',
      reason: 'file-shrank',
      path: join(dir, 'consumer_b.txt'),
    })
  })
})

test('a file that is gone when its turn comes has no verdict', async () => {
  const dir = await outputDir({ a: lines('a', range(1, 320_000)), b: line('b', 320_001) })
  const validating = validate({
    outputDir: dir,
    onProgress: () => rmSync(join(dir, 'consumer_b.txt'), { force: true }),
  })
  await expect(validating).rejects.toMatchObject({ name: 'CannotAnalyse', reason: 'unreadable-file' })
})

describe('cannot analyse', () => {
  async function reasonFor(dir: string, options = {}): Promise<CannotAnalyseReason | Report> {
    return validate({ outputDir: dir, ...options }).catch(error => {
      expect(error).toMatchObject({
        name: 'CannotAnalyse',
        path: expect.any(String),
        hint: expect.any(String),
      })
      expect(error.message).toContain(error.path)
      return error.reason
    })
  }

  test('a directory that is none', async () => {
    const dir = await outputDir({ a: '' })
    expect(await reasonFor(join(dir, 'nothing'))).toBe('no-directory')
    expect(await reasonFor(join(dir, 'consumer_a.txt'))).toBe('no-directory')
  })

  test('a directory without output files', async () => {
    const dir = await emptyDir()
    await writeFile(join(dir, 'consumers.txt'), line('a', 1))
    expect(await reasonFor(dir)).toBe('no-files')
  })

  test.each(['consumer_.txt', 'consumer_a b.txt', `consumer_${'a'.repeat(65)}.txt`, 'consumer_é.txt'])(
    'a file named %s, whose consumer is not known',
    async name => {
      const dir = await outputDir(VALID)
      await writeFile(join(dir, name), line('a', 31))
      expect(await reasonFor(dir)).toBe('bad-file-name')
    },
  )

  test('a link to nothing', async () => {
    const dir = await outputDir(VALID)
    await symlink('nowhere', join(dir, 'consumer_d.txt'))
    expect(await reasonFor(dir)).toBe('unreadable-file')
  })

  test('a directory or a named pipe in place of a file', async () => {
    const dir = await outputDir(VALID)
    execFileSync('mkfifo', [join(dir, 'consumer_d.txt')])
    await expect(validate({ outputDir: dir })).rejects.toThrow('consumer_d.txt is not a regular file')
    await rm(join(dir, 'consumer_d.txt'))
    await mkdir(join(dir, 'consumer_e.txt'))
    await expect(validate({ outputDir: dir })).rejects.toThrow('consumer_e.txt is not a regular file')
  })

  test.each([
    { expect: -1 },
    { expect: 1.5 },
    { expect: Number.NaN },
    { expect: 2 ** 53 },
    { detailLimit: -1 },
    { detailLimit: 100_001 },
  ])('%o', async options => {
    expect(await reasonFor(await outputDir(VALID), options)).toBe('bad-option')
  })
})

describe('dead letters', () => {
  const dead = (...numbers: number[]) =>
    new Map(numbers.map(n => [n, n % 2 ? 'handler failed' : 'rejected'] as const))
  const report = async (packages: number[], letters: Map<number, string>, expect?: number) =>
    validate({ outputDir: await outputDir({ a: lines('a', packages) }), expect, dead: letters })

  test('are not missing, and are listed by reason', async () => {
    const found = await report([2, 3, 5], dead(1, 4, 7, 8, 9), 9)
    expect(found.missing).toEqual([{ from: 6, to: 6 }])
    expect(found.totals).toMatchObject({ missing: 1, missingRanges: 1, dead: 5, deadProcessed: 0 })
    expect(found.dead).toEqual([
      { reason: 'handler failed', count: 3, packages: [1, 7, 9] },
      { reason: 'rejected', count: 2, packages: [4, 8] },
    ])
    expect(found.verdict).toBe('issues')
    expect((await report([2, 3, 5, 6], dead(1, 4, 7, 8, 9), 9)).verdict).toBe('ok')
  })

  test('must not stand in a file as well', async () => {
    const found = await report([1, 2, 3], dead(2, 4), 4)
    expect(found).toMatchObject({ verdict: 'issues', deadProcessed: [2], missing: [] })
    expect(found.totals).toMatchObject({ missing: 0, dead: 1, deadProcessed: 1 })
  })

  test('count as given out when nothing is said of how many there should be', async () => {
    expect((await report([1, 2], dead(5))).missing).toEqual([{ from: 3, to: 4 }])
    expect((await report([], dead(1, 2))).verdict).toBe('ok')
  })

  test('above what is expected are not looked at', async () => {
    expect((await report([1, 2], dead(5), 2)).totals).toMatchObject({ missing: 0, dead: 0 })
  })

  test('that nobody mentions leave the report as it is', async () => {
    expect(Object.keys(await validateWith({}))).not.toContain('dead')
  })

  test('may be more than there are lines', async () => {
    const letters = new Map(range(1, 200_000).map(n => [n, 'rejected'] as const))
    letters.delete(150_000)
    letters.delete(199_999)
    const found = await report([199_999], letters, 200_000)
    expect(found.missing).toEqual([{ from: 150_000, to: 150_000 }])
    expect(found.totals).toMatchObject({ missing: 1, dead: 199_998 })
  })

  test('among packages so far apart that they are kept in a map', async () => {
    const found = await report([1, 100_000, 100_003], dead(100_001, 70_000), 100_003)
    expect(found.missing).toEqual([
      { from: 2, to: 69_999 },
      { from: 70_001, to: 99_999 },
      { from: 100_002, to: 100_002 },
    ])
    expect(found.totals.missing).toBe(100_003 - 5)
  })
})
