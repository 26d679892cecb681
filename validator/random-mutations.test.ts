import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { emptyDir, line } from './fixtures.ts'
import { validate } from './index.ts'

const IDS = ['a', 'b1', 'c-3']

interface Verdict {
  counts: number[]
  duplicates: { package: number; times: number; consumers: { id: string; times: number }[] }[]
  missing: { from: number; to: number }[]
  missingCount: number
  unexpected: number[]
  unreadable: string[]
  torn: string[]
}

/** The same question answered with no thought to memory or time. */
function naiveVerdict(files: string[], expected: number | undefined): Verdict {
  const seen: { n: number; id: string }[] = []
  const verdict: Verdict = {
    counts: [],
    duplicates: [],
    missing: [],
    missingCount: 0,
    unexpected: [],
    unreadable: [],
    torn: [],
  }
  files.forEach((content, index) => {
    const id = IDS[index] as string
    const parts = content.split('\n')
    const tail = parts.pop()
    if (tail !== '') verdict.torn.push(`${id}:${parts.length + 1}`)
    const before = seen.length
    parts.forEach((text, i) => {
      const [start, rest = ''] = text.split(' processed package ')
      const match = /^([1-9]\d*) \(timestamp: (\d{1,16}|\d{1,16}\.\d{1,16})\)$/.exec(rest)
      const valid = start === `Consumer ${id}` && match && BigInt(match[1] ?? '') < 2n ** 53n
      if (valid && text === `${start} processed package ${rest}`) seen.push({ n: Number(match[1]), id })
      else verdict.unreadable.push(`${id}:${i + 1}`)
    })
    verdict.counts.push(seen.length - before)
  })
  const numbers = [...new Set(seen.map(({ n }) => n))].sort((x, y) => x - y)
  for (const n of numbers) {
    const times = seen.filter(entry => entry.n === n)
    const consumers = IDS.map(id => ({ id, times: times.filter(entry => entry.id === id).length }))
    if (times.length > 1) {
      verdict.duplicates.push({
        package: n,
        times: times.length,
        consumers: consumers.filter(c => c.times > 0),
      })
    }
  }
  const top = expected ?? numbers.at(-1) ?? 0
  verdict.unexpected = numbers.filter(n => n > top)
  let next = 1
  for (const n of [...numbers.filter(n => n <= top), top + 1]) {
    if (n > next) {
      verdict.missing.push({ from: next, to: n - 1 })
      verdict.missingCount += n - next
    }
    next = n + 1
  }
  return verdict
}

const digitsOrSo = fc.constantFrom(...'0123456789', '\n', '\0', '\r', ' ', '-', '.', ')', 'x', '\x1b', '\xff')

/** A change to one file's bytes or to the lines of two; places are fractions of what there is. */
const mutation = fc.record({
  kind: fc.constantFrom(
    'drop',
    'repeat',
    'move',
    'swap-lines',
    'swap-numbers',
    'cut',
    'overwrite',
    'insert',
    'remove',
  ),
  file: fc.nat(2),
  other: fc.nat(2),
  place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  char: digitsOrSo,
})

function mutate(
  files: string[],
  { kind, file, other, place, char }: typeof mutation extends fc.Arbitrary<infer M> ? M : never,
) {
  const content = files[file] as string
  const parts = content.split(/(?<=\n)/)
  const index = Math.floor(place * parts.length)
  const part = parts[index] ?? ''
  const at = Math.floor(place * content.length)
  if (kind === 'drop') files[file] = parts.toSpliced(index, 1).join('')
  if (kind === 'repeat') files[file] = parts.toSpliced(index, 0, part).join('')
  if (kind === 'move') files[other] += part.replace(`Consumer ${IDS[file]}`, `Consumer ${IDS[other]}`)
  if (kind === 'swap-lines') files[file] = [...parts.slice(index), ...parts.slice(0, index)].join('')
  if (kind === 'cut') files[file] = content.slice(0, at)
  if (kind === 'overwrite') files[file] = content.slice(0, at) + char + content.slice(at + 1)
  if (kind === 'insert') files[file] = content.slice(0, at) + char + content.slice(at)
  if (kind === 'remove') files[file] = content.slice(0, at) + content.slice(at + 1)
  if (kind === 'swap-numbers') {
    const number = /(?<=package )\d+/
    const one = number.exec(content)?.[0]
    const two = number.exec(files[other] as string)?.[0]
    if (one && two) {
      files[file] = content.replace(number, two)
      files[other] = (files[other] as string).replace(number, one)
    }
  }
}

test('any mutation of valid files is found as a naive checker finds it', async () => {
  const dir = await emptyDir()
  const owners = fc.array(fc.nat(2), { minLength: 1, maxLength: 40 })
  const property = fc.asyncProperty(
    owners,
    fc.array(mutation, { maxLength: 6 }),
    fc.option(fc.nat(45), { nil: undefined }),
    async (consumerOf, mutations, expected) => {
      const files = IDS.map((id, index) =>
        consumerOf.map((owner, i) => (owner === index ? line(id, i + 1, 1700000000 + i / 8) : '')).join(''),
      )
      for (const change of mutations) mutate(files, change)
      fc.pre(expected !== undefined || files.some(content => content !== ''))
      for (const [index, id] of IDS.entries()) {
        await writeFile(join(dir, `consumer_${id}.txt`), files[index] as string, 'latin1')
      }
      const naive = naiveVerdict(files, expected)
      const report = await validate({ outputDir: dir, expect: expected })
      expect({
        counts: report.consumers.map(({ count }) => count),
        duplicates: report.duplicates.map(({ moreConsumers: _, ...duplicate }) => duplicate),
        missing: report.missing,
        missingCount: report.totals.missing,
        unexpected: report.unexpected.map(entry => entry.package).sort((x, y) => x - y),
        unreadable: report.unreadable.map(at => `${at.file.slice(9, -4)}:${at.line}`),
        torn: report.torn.map(at => `${at.file.slice(9, -4)}:${at.line}`),
      }).toEqual(naive)
      const { counts: _, missingCount: __, ...lists } = naive
      const clean = Object.values(lists).every(list => list.length === 0)
      expect(report.verdict).toBe(clean ? 'ok' : 'issues')
    },
  )
  await fc.assert(property, { numRuns: 1_000 })
})
