import { join } from 'node:path'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { line, lines, outputDir } from './fixtures.ts'
import { type RunValidateOptions, runValidate } from './index.ts'
import { progressLine } from './progress.ts'

/** Runs the command and collects what it prints. */
async function run(options: Partial<RunValidateOptions> & { outputDir: string }) {
  const printed = { stdout: '', stderr: '' }
  const stream = (name: keyof typeof printed) =>
    new Writable({
      write(chunk, _encoding, done) {
        printed[name] += chunk
        done()
      },
    })
  const out = { stdout: stream('stdout'), stderr: stream('stderr') }
  const code = await runValidate({ verbose: false, json: false, ...options }, out)
  return { code, ...printed }
}

test('0 when all is fine', async () => {
  const { code, stdout, stderr } = await run({ outputDir: await outputDir({ a: lines('a', [1, 2]) }) })
  expect(code).toBe(0)
  expect(stdout).toContain('NO ISSUES DETECTED: All packages processed exactly once')
  expect(stderr).toBe('')
})

test.each([
  ['a duplicate', lines('a', [1, 1])],
  ['a gap', lines('a', [1, 3])],
  ['an unexpected package', lines('a', [1, 2, 3])],
  ['an unreadable line', `${lines('a', [1, 2])}\n`],
  ['a torn line', `${lines('a', [1, 2])}Consumer`],
])('1 for %s', async (_, a) => {
  const { code, stdout, stderr } = await run({ outputDir: await outputDir({ a }), expect: 2 })
  expect(code).toBe(1)
  expect(stdout).toMatch(/^ISSUES DETECTED: /m)
  expect(stderr).toBe('')
})

test('2 without a verdict, with one line that says what, where and what to do', async () => {
  const dir = join(await outputDir({}), 'no\nwhere\x1b[2J')
  const { code, stdout, stderr } = await run({ outputDir: dir })
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toMatch(
    /^Cannot validate: there is no directory \/.*\/no\\u\{a\}where\\u\{1b\}\[2J\. Name the directory that holds .*\.\n$/,
  )
})

test('2 for a number that is none', async () => {
  const { code, stderr } = await run({ outputDir: await outputDir({ a: line('a', 1) }), expect: Number.NaN })
  expect(code).toBe(2)
  expect(stderr).toBe(
    'Cannot validate: expect is NaN. It must be a whole number from 0 to 9007199254740991.\n',
  )
})

test('the report as JSON', async () => {
  const dir = await outputDir({ a: `${lines('a', [1, 1, 3])}é\x9b\n` })
  const { code, stdout } = await run({ outputDir: dir, json: true })
  expect(code).toBe(1)
  expect(stdout).toMatch(/^[ -~\n]*$/)
  expect(JSON.parse(stdout)).toMatchObject({
    verdict: 'issues',
    totals: { processed: 3, duplicates: 1, missing: 1, unreadable: 1 },
    missing: [{ from: 2, to: 2 }],
  })
})

test('the error as JSON, and for a person as well', async () => {
  const dir = await outputDir({})
  const { code, stdout, stderr } = await run({ outputDir: dir, json: true })
  expect(code).toBe(2)
  expect(JSON.parse(stdout)).toEqual({
    error: {
      reason: 'no-files',
      message: `no files consumer_<id>.txt in ${dir}`,
      path: dir,
      hint: expect.any(String),
    },
  })
  expect(stderr).toContain(dir)
})

test('2 for a fault of its own, as 1 would be a verdict', async () => {
  const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() })
  const stdout = Object.assign(sink(), {
    hasColors(): boolean {
      throw new TypeError('broken')
    },
  })
  const options = { outputDir: await outputDir({ a: lines('a', [1]) }), verbose: false, json: false }
  expect(await runValidate(options, { stdout, stderr: sink() })).toBe(2)
})

test('a reader that has gone away changes nothing', async () => {
  const gone = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    },
  })
  const options = { outputDir: await outputDir({ a: lines('a', [1]) }), verbose: false, json: false }
  expect(await runValidate(options, { stdout: gone, stderr: gone })).toBe(0)
})

test('progress shows on a terminal after a second, and goes away', () => {
  let time = 0
  let shown = ''
  const terminal = {
    isTTY: true,
    write(text: string) {
      shown += text
      return true
    },
  }
  const progress = progressLine(terminal, () => time)
  const after = (ms: number) => {
    time += ms
    shown = ''
    progress.update(time * 1e5, 1e9)
    return shown
  }
  expect(after(999)).toBe('')
  expect(after(1)).toBe('\r\x1b[2KValidating: 10% of 1000.0 MB')
  expect(after(199)).toBe('')
  expect(after(1)).toBe('\r\x1b[2KValidating: 12% of 1000.0 MB')
  progress.clear()
  expect(shown.endsWith('MB\r\x1b[2K')).toBe(true)
})

test('progress stays silent where there is no terminal, or nothing to wait for', () => {
  let time = 0
  const shown: string[] = []
  const write = (text: string) => shown.push(text) > 0
  const piped = progressLine({ write }, () => time)
  const short = progressLine({ isTTY: true, write }, () => time)
  short.update(1, 2)
  short.clear()
  time = 5000
  piped.update(1, 2)
  piped.clear()
  expect(shown).toEqual([])
})
