import { appendFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDir } from '../tests/redis.ts'
import { check, type Verdict } from './checker.ts'

const PACKAGES = 300
const DEAD = [100, 200]
const line = (consumer: string, number: number) =>
  `Consumer ${consumer} processed package ${number} (timestamp: 1753553379)`

/** What a run without faults leaves: two producers, three consumers, one reply that was lost. */
async function run(): Promise<Folder> {
  const dir = await tempDir()
  await mkdir(join(dir, 'output'))
  const files = new Map(['c1', 'c2', 'c3'].map(id => [id, [] as string[]]))
  const journal: object[] = []
  for (let first = 1, counter = 1; first <= PACKAGES; first += 10, counter++) {
    const request = `lane${counter % 2} ${counter}`
    journal.push({ asked: request, count: 10 })
    if (counter !== 7) journal.push({ told: request, first, count: 10 })
    if (counter % 5 === 0) journal.push({ asked: request, count: 10 }, { told: request, first, count: 10 })
    for (let number = first; number < first + 10; number++) {
      const id = `c${(number % 3) + 1}`
      if (!DEAD.includes(number)) files.get(id)?.push(line(id, number))
    }
  }
  for (const [id, lines] of files)
    await writeFile(join(dir, 'output', `consumer_${id}.txt`), `${lines.join('\n')}\n`)
  await writeFile(join(dir, 'journal.jsonl'), `${journal.map(one => JSON.stringify(one)).join('\n')}\n`)
  const state = { sequence: PACKAGES, pending: 0, undelivered: 0, dead: DEAD, waiting: [], unwritten: [] }
  await writeFile(join(dir, 'redis.json'), JSON.stringify(state))
  return new Folder(dir)
}

class Folder {
  constructor(readonly dir: string) {}

  file = (id: string) => join(this.dir, 'output', `consumer_${id}.txt`)

  /** Rewrites the lines of a file. */
  async lines(id: string, change: (lines: string[]) => string[]): Promise<void> {
    const lines = (await readFile(this.file(id), 'utf8')).trimEnd().split('\n')
    await writeFile(this.file(id), `${change(lines).join('\n')}\n`)
  }

  drop(...numbers: number[]): Promise<unknown> {
    const kept = (text: string) => !numbers.some(number => text.includes(`package ${number} `))
    return Promise.all(['c1', 'c2', 'c3'].map(id => this.lines(id, lines => lines.filter(kept))))
  }

  async redis(change: (state: Record<string, unknown>) => object): Promise<void> {
    const path = join(this.dir, 'redis.json')
    const state = JSON.parse(await readFile(path, 'utf8'))
    await writeFile(path, JSON.stringify({ ...state, ...change(state) }))
  }

  note(entry: object): Promise<void> {
    return appendFile(join(this.dir, 'journal.jsonl'), `${JSON.stringify(entry)}\n`)
  }
}

test('a run without faults', async () => {
  const { dir } = await run()
  expect(await check(dir)).toMatchObject({
    ok: true,
    attempted: 300,
    acknowledged: 290,
    recovered: 10,
    produced: 300,
    committed: 298,
    dead: 2,
    waiting: 0,
    balanced: true,
  })
})

const one = expect.objectContaining({ count: 1 })

/** What is done to the run, and all that has to be found. */
const MUTATIONS: [name: string, mutate: (folder: Folder) => Promise<unknown>, found: object][] = [
  ['the first is lost', f => f.drop(1), { lost: { start: 1, middle: 0, end: 0 }, balanced: false }],
  ['one in the middle is lost', f => f.drop(150), { lost: { start: 0, middle: 1, end: 0 } }],
  ['the last ones are lost', f => f.drop(298, 299, 300), { lost: { start: 0, middle: 0, end: 3 } }],
  ['one is lost that nobody was told', f => f.drop(65), { lost: one }],
  ['everything is lost', f => Promise.all(['c1', 'c2', 'c3'].map(id => truncate(f.file(id)))), { balanced: false }],
  ['a line twice in a file', f => f.lines('c1', ([first = '', ...rest]) => [first, first, ...rest]), { duplicated: one }],
  ['a package in two files', f => appendFile(f.file('c2'), `${line('c2', 3)}\n`), { duplicated: one }],
  ['a dead one in a file', f => appendFile(f.file('c2'), `${line('c2', 100)}\n`), { duplicated: one }],
  ['a dead letter twice', f => f.redis(() => ({ dead: [100, 200, 200] })), { duplicated: one }],
  ['one in a file that waits', f => f.redis(() => ({ waiting: [5] })), { duplicated: one }],
  ['a dead letter is gone', f => f.redis(() => ({ dead: [100] })), { lost: one, balanced: false }],
  ['a number is changed', f => f.lines('c1', ([, ...rest]) => [line('c1', 6), ...rest]), { lost: one, duplicated: one }],
  ['a line of another consumer', f => f.lines('c1', ([, ...rest]) => [line('c2', 3), ...rest]), { corrupt: one, lost: one }],
  ['a line torn at the end', f => readFile(f.file('c1')).then(bytes => truncate(f.file('c1'), bytes.length - 3)), { corrupt: one, lost: one }],
  ['NULs in the middle', f => f.lines('c1', lines => lines.with(50, '\0'.repeat(70))), { corrupt: one, lost: one }],
  ['two lines run together', f => f.lines('c1', ([a, b, ...rest]) => [`${a}${b}`, ...rest]), { corrupt: one }],
  ['a letter is changed', f => f.lines('c1', ([a = '', ...rest]) => [a.replace('processed', 'processee'), ...rest]), { corrupt: one }],
  ['package 0', f => appendFile(f.file('c1'), `${line('c1', 0)}\n`), { corrupt: one }],
  ['a number beyond the last', f => appendFile(f.file('c1'), `${line('c1', 301)}\n`), { unexpected: one }],
  ['more given out than asked for', f => f.redis(() => ({ sequence: 301 })).then(() => appendFile(f.file('c1'), `${line('c1', 301)}\n`)), { unexpected: one }],
  ['a number told for two requests', f => f.note({ told: 'lane9 1', first: 30, count: 1 }), { toldTwice: expect.anything() }],
  ['two answers to one request', f => f.note({ told: 'lane1 1', first: 61, count: 10 }), { toldTwice: expect.anything() }],
  ['Redis forgot what it told', f => f.redis(() => ({ sequence: 290 })), { unsettled: one, balanced: false }],
  ['an entry is pending', f => f.redis(() => ({ pending: 1 })), { unsettled: one }],
  ['an entry is not delivered', f => f.redis(() => ({ undelivered: 1 })), { unsettled: one }],
  ['a log holds output', f => f.redis(() => ({ unwritten: ['output:c1'] })), { unsettled: one }],
] // biome-ignore format: one a line

test.each(MUTATIONS)('%s', async (_, mutate, found) => {
  const folder = await run()
  await mutate(folder)
  const verdict: Verdict = await check(folder.dir)
  expect(verdict).toMatchObject({ ok: false, ...found })
})
