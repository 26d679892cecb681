import { execFileSync } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { emptyDir, line } from './fixtures.ts'

const LINES = 1_500_000

// The compiled validator in a process of its own: memory is only then nobody else's.
const SCRIPT = `
  const { validate } = await import(${JSON.stringify(new URL('./dist/index.js', import.meta.url).href)})
  const start = performance.now()
  const { totals } = await validate({ outputDir: process.argv[1] })
  const ms = performance.now() - start
  console.log(JSON.stringify({ totals, ms, megabytes: process.resourceUsage().maxRSS / 1024 }))
`

/** Milliseconds and peak megabytes that files with `LINES` lines cost. */
async function cost(packageAt: (index: number, file: number) => number) {
  const dir = await emptyDir()
  for (const [file, id] of ['a1b2c3d4', 'c9d0e1f2', 'e5f6a7b8'].entries()) {
    const fd = openSync(join(dir, `consumer_${id}.txt`), 'w')
    let text = ''
    for (let i = 0; i < LINES / 3; i++) {
      text += line(id, packageAt(i, file))
      if (i % 10_000 === 9_999 || i === LINES / 3 - 1) {
        writeSync(fd, text)
        text = ''
      }
    }
    closeSync(fd)
  }
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', SCRIPT, dir], {
    encoding: 'utf8',
  })
  return JSON.parse(output)
}

test('100 MB of lines cost no memory to speak of, and no more time when every package is wrong', async () => {
  const valid = await cost((i, file) => i * 3 + file + 1)
  expect(valid.totals).toMatchObject({ processed: LINES, unique: LINES, missing: 0 })

  const sameInAllFiles = await cost(i => i + 1)
  expect(sameInAllFiles.totals).toMatchObject({ duplicates: LINES / 3, repeats: LINES - LINES / 3 })

  const everyOtherMissing = await cost((i, file) => 2 * (i * 3 + file + 1))
  expect(everyOtherMissing.totals).toMatchObject({ missing: LINES, missingRanges: LINES })

  const huge = await cost((i, file) => Number.MAX_SAFE_INTEGER - 1e6 * (i * 3 + file))
  expect(huge.totals).toMatchObject({ untracked: LINES - 100_000 })

  for (const { ms, megabytes } of [valid, sameInAllFiles, everyOtherMissing, huge]) {
    expect(megabytes).toBeLessThan(110)
    // A linear pass over three times the lines, on a machine ten times as slow. Quadratic would take minutes.
    expect(ms).toBeLessThan(valid.ms * 10 + 1_000)
  }
})
