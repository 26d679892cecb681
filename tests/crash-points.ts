import { deepStrictEqual } from 'node:assert'
import { mkdir, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import {
  FAILING_HANDLER,
  failAt,
  noteSteps,
  type Pipeline,
  type ServiceProcess,
  type Step,
} from '@conveyor/chaos'
import { expect, vi } from 'vitest'
import { startPipeline } from './start-pipeline.ts'

// Many processes one after the other, on a machine that may be busy with others.
vi.setConfig({ testTimeout: 900_000 })

/** Where a process is killed: a step, and the how manieth time that it gets there. */
export type Point = readonly [step: Step, time: number]

const around = (what: string, time = 1): Point[] => [
  [`before ${what}`, time],
  [`after ${what}`, time],
]
const within = (what: string, time = 1): Point[] => [
  [`before ${what}`, time],
  [`amid ${what}`, time],
  [`after ${what}`, time],
]
/** A script, and the same when Redis does not know it. */
const script = (name: string, time = 1): Point[] => [...around(name, time), ...around(`EVAL ${name}`)]

/**
 * Every step that a producer or a consumer takes, by what has to be the matter for it. In each list the order is that
 * in which one process after the other can be killed: what is done once stays done.
 */
export const POINTS = {
  /** A consumer comes to a run for the first time, and its link still leads into an earlier one. */
  start: [
    ...script('open'),
    ...around('mkdir runs'),
    ...around('symlink owner'),
    ...around('mkdir run'),
    ...around('unlink link'),
    ...around('sync run'),
    ...around('sync runs'),
    ...around('sync directory'),
    ...script('session'),
    ...around('open file'),
    ...around('sync run', 2),
    ...around('symlink new link'),
    ...around('rename link'),
    ...around('sync directory', 2),
  ],
  /** It is at work. */
  work: [
    ...around('XREADGROUP'),
    ...around('XREADGROUP', 4),
    ...script('beat', 3),
    ...around('EVAL commit', 4),
    ...around('commit'),
    ...around('commit', 4),
    ...script('handover'),
    ...script('output'),
    ...around('output', 4),
    ...within('write file'),
    ...within('write file', 4),
    ...around('datasync file'),
    ...around('datasync file', 4),
    ...script('due'),
  ],
  /** It is asked to finish. */
  stop: [...script('close'), ...script('tidy')],
  /** A peer has died with entries in hand, output unwritten, and nobody has its link. */
  peer: [
    ...around('take'),
    ...around("peer's output"),
    ...around("open peer's file"),
    ...around("rename peer's link"),
    ...within("write peer's file"),
    ...around("datasync peer's file"),
    ...around("peer's output", 3),
    ...around("peer's tidy"),
  ],
  /** The same, and Redis does not know the scripts. */
  peerUnknown: [
    ...around('EVAL take'),
    ...around("peer's EVAL output"),
    ...around("peer's EVAL output", 3),
    ...around("peer's EVAL tidy"),
  ],
  /** Redis has forgotten its last moments: several files are too long. */
  audit: [
    ...around('mkdir rollback'),
    ...within('copyFile copy'),
    ...around('truncate copy'),
    ...around('sync copy'),
    ...around('link agreed'),
    ...around('unlink copy'),
    ...around('link longer'),
    ...around('link copy'),
    ...around("rename peer's file"),
    ['before unlink copy', 2],
    ...around('sync rollback'),
    ...around('sync run', 2),
    ['before EVAL audited', 1],
    ['before audited', 1],
    ['after audited', 1],
  ],
  /** The same, and the only file that is too long is its own. */
  auditOwn: [...around('rename file'), ['after EVAL audited', 1]],
  producer: [
    ...script('open'),
    ...script('inspect'),
    ...around('append'),
    ...script('append', 3),
    ...script('trim'),
    ...around('trim', 2),
    ...script('note-trim'),
  ],
  /** A producer to which messages are sent. */
  ingest: [...script('ingest'), ...around('ingest', 4)],
  /** A source; what it does first is to ask where it is. */
  source: [...script('source'), ...script('source', 2), ...around('source', 4)],
} satisfies Record<string, Point[]>

/** Names of the steps. */
export const STEPS: ReadonlySet<string> = new Set(
  Object.values(POINTS)
    .flat()
    .map(([step]) => step),
)

/** Ms that a process may take to get to its step on a machine that is busy with other things. */
const PATIENCE = 120_000

/**
 * A pipeline for processes that are killed: a peer is soon dead, an entry is never given up, some packages are tried
 * again and every thousandth ends among the dead letters.
 */
export async function startCrashPipeline(): Promise<Pipeline> {
  const pipeline = await startPipeline({
    BEAT_INTERVAL_MS: '20',
    DEATH_BEATS: '10',
    BATCH: '50',
    MAX_DELIVERIES: '1000',
    HANDLER: FAILING_HANDLER,
    RETRY_DELAY_MS: '20',
    TRIM_INTERVAL_MS: '100',
    ...noteSteps('steps'),
  })
  await loadScripts(pipeline)
  return pipeline
}

const lua = new URL('../stream/lua/', import.meta.url)

/** Names of all scripts that change something. */
export async function scripts(): Promise<string[]> {
  const found: string[] = []
  for (const file of (await readdir(lua)).sort())
    if (!(await readFile(new URL(file, lua), 'utf8')).startsWith('#!lua flags=no-writes'))
      found.push(file.replace('.lua', ''))
  return found
}

/** Has Redis know all scripts, so that none is sent as EVAL but by a process that is to be killed there. */
export async function loadScripts({ client }: Pipeline): Promise<void> {
  for (const name of await readdir(lua))
    await client.script('LOAD', await readFile(new URL(name, lua), 'utf8'))
}

/** Has consumers write files that Redis knows less of afterwards, and are gone. */
export async function loseLastMoments(pipeline: Pipeline, ids: readonly string[]): Promise<void> {
  const writers = pipeline.consumers(ids)
  const written = (least: (id: string) => number) =>
    pipeline.when(({ consumers }) => {
      const found = consumers.filter(({ id }) => ids.includes(id))
      return found.length === ids.length && found.every(one => one.output - one.unflushed > least(one.id))
    }, `the files of ${ids} have grown`)
  await written(() => 0)
  const copy = await pipeline.copyRedisData()
  const { consumers } = await pipeline.inspect()
  await written(id => consumers.find(one => one.id === id)?.output ?? 0)
  await Promise.all(writers.map(writer => writer.kill()))
  await pipeline.rollBackRedis(copy)
  await loadScripts(pipeline)
}

/** Has a process start that kills itself at a point, and waits until it has. */
export async function crash(start: (env: NodeJS.ProcessEnv) => ServiceProcess, [step, time]: Point) {
  const victim = start(failAt(step, time))
  const exit = await victim.ended(PATIENCE).catch((error: Error) => {
    throw new Error(`never ${step} (${time}): ${error.message}`)
  })
  const killed = victim.lines('SIGKILL').map(({ msg }) => msg)
  deepStrictEqual(
    { ...exit, killed },
    { code: null, signal: 'SIGKILL', killed: [`SIGKILL ${step}`] },
    victim.lastWords(),
  )
}

/** Makes a consumer's link lead into an earlier run. */
export async function leaveLink({ outputDir }: Pipeline, id: string): Promise<void> {
  await mkdir(outputDir, { recursive: true })
  await rm(linkOf(outputDir, id), { force: true })
  await symlink(`runs/20260101T000000Z-000000/consumer_${id}.txt`, linkOf(outputDir, id))
}

export async function removeLink({ outputDir }: Pipeline, id: string): Promise<void> {
  await rm(linkOf(outputDir, id))
}

const linkOf = (outputDir: string, id: string) => join(outputDir, `consumer_${id}.txt`)

/** Ends the producers, and expects each package once and no step of any process that {@link POINTS} does not know. */
export async function expectExactlyOnce(pipeline: Pipeline): Promise<void> {
  const last = await pipeline.endProducing()
  await pipeline.drained(last)
  const dead = (await pipeline.deadLetters()).map(letter => letter.package as number)
  expect(dead.sort((a, b) => a - b)).toEqual(thousands(last))
  await pipeline.expectExactlyOnce(last, dead)
  const steps = (await readFile(join(pipeline.dir, 'steps'), 'utf8')).trim().split('\n')
  expect(steps.filter(step => !STEPS.has(step))).toEqual([])
}

export const thousands = (last: number) =>
  Array.from({ length: Math.floor(last / 1000) }, (_, i) => (i + 1) * 1000)
