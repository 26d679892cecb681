// The check of a run, from what it left: the journal of the wire, what Redis knows, and the output files. It shares no
// code with the pipeline, and believes nothing that the pipeline says of itself except the raw contents of Redis.
// `node chaos/dist/checker.js FOLDER` checks a folder again.
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

/** What Redis held when everything had ended: `redis.json`. */
export interface RedisState {
  /** The last number given out. */
  readonly sequence: number
  /** Entries delivered and not settled, and entries not delivered. */
  readonly pending: number
  readonly undelivered: number
  /** Package numbers of the dead letters, and of the messages that wait for another attempt. */
  readonly dead: readonly number[]
  readonly waiting: readonly number[]
  /** Output logs that hold something that is not known to be on disk. */
  readonly unwritten: readonly string[]
}

/** How many, and the first of them. */
export interface Found {
  readonly count: number
  readonly examples: readonly string[]
}

/** Everything is counted in packages, unless it says lines. */
export interface Verdict {
  readonly ok: boolean
  /** Asked for by producers; those of a request that was repeated once. */
  readonly attempted: number
  /** Whose numbers a producer was told. */
  readonly acknowledged: number
  /** Appended although no producer was told, because the reply was lost. */
  readonly recovered: number
  /** Given out, as Redis counts. */
  readonly produced: number
  /** In output files. */
  readonly committed: number
  readonly dead: number
  readonly waiting: number
  /** In no file, no dead letter, and not waiting: before the first that came out, after the last, or between. */
  readonly lost: Found & { readonly start: number; readonly middle: number; readonly end: number }
  /** In more than one place. */
  readonly duplicated: Found
  /** Lines that are not a package's, or not whole. */
  readonly corrupt: Found
  /** Never asked for, or beyond what was given out. */
  readonly unexpected: Found
  /** Told to two producers, or for two requests. */
  readonly toldTwice: Found
  /** What should be settled and written by now: entries, and output logs. */
  readonly unsettled: Found
  /** Whether produced = committed + dead + waiting. */
  readonly balanced: boolean
}

class Findings {
  count = 0
  readonly examples: string[] = []

  add(example: string): void {
    this.count++
    if (this.examples.length < 10) this.examples.push(example)
  }
}

const LINE = /^Consumer (\S+) processed package ([1-9]\d{0,15}) \(timestamp: \d{1,12}\)$/

/** Checks what a run left in `folder`: `journal.jsonl`, `redis.json` and `output/consumer_<id>.txt`. */
export async function check(folder: string): Promise<Verdict> {
  const state: RedisState = JSON.parse(await readFile(join(folder, 'redis.json'), 'utf8'))
  const asked = await readJournal(join(folder, 'journal.jsonl'))
  const toldTwice = new Findings()
  const told = new Set<number>()
  let attempted = 0
  for (const [request, { count, numbers }] of asked) {
    attempted += count
    for (const number of numbers) {
      if (told.has(number)) toldTwice.add(`package ${number}, again for request ${request}`)
      told.add(number)
    }
    if (numbers.size > count) toldTwice.add(`request ${request} for ${count}: ${numbers.size} numbers`)
  }

  const places = new Map<number, string[]>()
  const put = (number: number, place: string) => {
    const known = places.get(number)
    if (known) known.push(place)
    else places.set(number, [place])
  }
  const corrupt = new Findings()
  let committed = 0
  for await (const { file, line, number } of linesOf(join(folder, 'output'))) {
    if (number === undefined) {
      corrupt.add(`${file}: ${JSON.stringify(line.slice(0, 100))}`)
      continue
    }
    if (!places.has(number)) committed++
    put(number, file)
  }
  for (const number of state.dead) put(number, 'dead letters')
  for (const number of state.waiting) put(number, 'waiting')

  const last = largest(told, state.sequence)
  const found = [...places.keys()].filter(number => number >= 1 && number <= last)
  const [first = last + 1, final = 0] = [smallest(found), largest(found, 0)]
  const lost = Object.assign(new Findings(), { start: 0, middle: 0, end: 0 })
  for (let number = 1; number <= last; number++) {
    if (places.has(number)) continue
    lost.add(`package ${number}${told.has(number) ? '' : ', which no producer was told'}`)
    lost[number < first ? 'start' : number > final ? 'end' : 'middle']++
  }

  const duplicated = new Findings()
  const unexpected = new Findings()
  let recovered = 0
  for (const [number, where] of places) {
    if (where.length > 1) duplicated.add(`package ${number}: ${where.join(', ')}`)
    if (number > last) unexpected.add(`package ${number}: ${where}, ${last} is the last that was given out`)
    else if (!told.has(number)) recovered++
  }
  if (recovered > attempted - told.size)
    unexpected.add(`${told.size + recovered} packages, where ${attempted} were asked for`)

  const unsettled = new Findings()
  if (state.pending > 0) unsettled.add(`${state.pending} entries pending`)
  if (state.undelivered > 0) unsettled.add(`${state.undelivered} entries not delivered`)
  for (const log of state.unwritten) unsettled.add(`${log} holds output`)
  if (last !== state.sequence) unsettled.add(`Redis counts to ${state.sequence}, a producer was told ${last}`)

  const [dead, waiting] = [new Set(state.dead).size, new Set(state.waiting).size]
  const balanced = state.sequence === committed + dead + waiting
  const faults = [lost, duplicated, corrupt, unexpected, toldTwice, unsettled]
  return {
    ok: balanced && faults.every(({ count }) => count === 0),
    attempted,
    acknowledged: told.size,
    recovered,
    produced: state.sequence,
    committed,
    dead,
    waiting,
    lost,
    duplicated,
    corrupt,
    unexpected,
    toldTwice,
    unsettled,
    balanced,
  }
}

interface Asked {
  count: number
  /** All numbers that it was told. */
  readonly numbers: Set<number>
}

/** The requests by lane and counter: one that was repeated is one. */
async function readJournal(path: string): Promise<Map<string, Asked>> {
  const requests = new Map<string, Asked>()
  const request = (name: string) => {
    const known = requests.get(name) ?? { count: 0, numbers: new Set() }
    requests.set(name, known)
    return known
  }
  for await (const text of createInterface({ input: createReadStream(path) })) {
    const line = JSON.parse(text)
    if (line.asked) request(line.asked).count = line.count
    else for (let n = 0; n < line.count; n++) request(line.told).numbers.add(line.first + n)
  }
  return requests
}

interface Line {
  readonly file: string
  readonly line: string
  /** Undefined when it is not a package's line. */
  readonly number: number | undefined
}

/** Every line of every file, by the names that people use. */
async function* linesOf(folder: string): AsyncGenerator<Line> {
  for (const file of (await readdir(folder)).filter(name => /^consumer_.*\.txt$/.test(name)).sort()) {
    let rest = ''
    for await (const chunk of createReadStream(join(folder, file), 'latin1')) {
      const lines = `${rest}${chunk}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const [, consumer, number] = LINE.exec(line) ?? []
        const right = consumer !== undefined && file === `consumer_${consumer}.txt`
        yield { file, line, number: right ? Number(number) : undefined }
      }
    }
    if (rest !== '') yield { file, line: rest, number: undefined }
  }
}

/** Not by spreading: there are more numbers than a call takes. */
function largest(numbers: Iterable<number>, atLeast: number): number {
  let most = atLeast
  for (const number of numbers) if (number > most) most = number
  return most
}

function smallest(numbers: readonly number[]): number | undefined {
  let least = numbers[0]
  for (const number of numbers) if (least === undefined || number < least) least = number
  return least
}

const [, script, folder] = process.argv
if (script && folder && import.meta.url === pathToFileURL(script).href) {
  const verdict = await check(folder)
  console.log(JSON.stringify(verdict, null, 2))
  process.exitCode = verdict.ok ? 0 : 1
}
