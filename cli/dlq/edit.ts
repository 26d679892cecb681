import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ConfigError, EXIT } from '@conveyor/service'
import { type DeadLetter, deadLetter, type Keys, NotReplayable, replayDeadLetter } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { recorded } from '../actions.ts'
import { note, say } from '../print.ts'
import { isTerminal } from './confirm.ts'
import { obstacle } from './plan.ts'
import { unknown } from './show.ts'
import { oneLine } from './text.ts'

export interface EditOptions {
  readonly payload?: string
  /** Path of a file, or - for standard input. */
  readonly file?: string
}

type Payload = Readonly<Record<string, unknown>>

interface Edited {
  readonly payload: Payload
  /** The file that a person wrote it into. */
  readonly draft?: string
}

/** Gives the new payload of a letter; undefined when it is left as it was. Throws `ConfigError`. */
export type PayloadSource = (letter: DeadLetter) => Edited | undefined

/** Where the payload comes from; what can be wrong with it is found before Redis is asked. Throws `ConfigError`. */
export function payloadSource({ payload, file }: EditOptions): PayloadSource {
  if (payload !== undefined && file !== undefined)
    throw new ConfigError('--payload and --file: one is allowed')
  const text = payload ?? (file === undefined ? undefined : read(file))
  if (text !== undefined) {
    const given = parsed(text, file === undefined ? '--payload' : `--file ${file}`)
    return () => ({ payload: given })
  }
  if (!isTerminal()) throw new ConfigError('there is no terminal to edit in: say --payload or --file')
  return fromEditor
}

/** Replays a letter with another payload. Returns the exit code. */
export async function editLetter(
  redis: Redis,
  keys: Keys,
  id: string,
  source: PayloadSource,
): Promise<number> {
  const letter = await deadLetter(redis, keys, id)
  const why = letter ? obstacle(letter, keys, undefined) : unknown(id)
  if (!letter || why !== undefined) return refuse(why ?? '')
  const edited = source(letter)
  if (!edited) return refuse('the payload is as it was: nothing was changed')
  const { payload, draft } = edited
  try {
    demandPackage(letter, payload)
    const entry = await replayDeadLetter(redis, keys, id, payload)
    if (entry === undefined) return refuse(unknown(id))
    if (draft) rmSync(dirname(draft), { recursive: true, force: true })
    await recorded(redis, keys, 'edit', `dead letter ${id}`, 1, ['dlq', 'edit', id])
    await say(`replayed dead letter ${id} with the new payload, as entry ${entry}`)
    return EXIT.ok
  } catch (error) {
    if (draft) await note(`your text is kept: --file ${draft}`)
    if (error instanceof NotReplayable) return refuse(error.message)
    throw error
  }
}

async function refuse(why: string): Promise<number> {
  await note(`conveyor: ${oneLine(why)}`)
  return EXIT.failed
}

/** The number is what a package is: under another one it would be another package. */
function demandPackage({ id, package: number }: DeadLetter, payload: Payload): void {
  if (number === undefined || payload.package === undefined || payload.package === number) return
  throw new ConfigError(
    `payload.package is ${oneLine(String(payload.package).slice(0, 100))}: dead letter ${id} is package ${number}, which stays`,
  )
}

function read(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new ConfigError(`--file ${oneLine(file)}: ${oneLine((error as Error).message)}`)
  }
}

function parsed(text: string, from: string): Payload {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new ConfigError(`${oneLine(from)}: not JSON: ${oneLine((error as Error).message)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(`${oneLine(from)}: a JSON object is allowed`)
  return value as Payload
}

/** Has a person change the payload. What is no JSON is kept for another try. */
function fromEditor(letter: DeadLetter): Edited | undefined {
  const before = payloadOf(letter)
  const dir = mkdtempSync(join(tmpdir(), 'conveyor-edit-'))
  const draft = join(dir, `${letter.id}.json`)
  writeFileSync(draft, before, { mode: 0o600 })
  const editor = process.env.VISUAL || process.env.EDITOR || 'vi'
  // By a shell, because the variable may hold options, as in `code --wait`.
  const { status } = spawnSync('sh', ['-c', `${editor} "$1"`, 'sh', draft], { stdio: 'inherit' })
  const after = readFileSync(draft, 'utf8')
  if (status === 0 && after !== before)
    return { payload: parsed(after, `your text is kept, --file ${draft}`), draft }
  rmSync(dir, { recursive: true, force: true })
  if (status !== 0) throw new ConfigError(`the editor ${oneLine(editor)} failed; nothing was changed`)
  return undefined
}

function payloadOf({ package: number, fields }: DeadLetter): string {
  let payload: unknown
  try {
    payload = JSON.parse(fields.data ?? '').payload
  } catch {
    payload = undefined
  }
  return `${JSON.stringify(payload ?? { package: number }, null, 2)}\n`
}
