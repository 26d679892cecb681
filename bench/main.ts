import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { measureRecovery, recoveryHistogram } from '@conveyor/chaos'
import { findRedisServer, startRedis } from '@conveyor/redis'
import { connect } from '@conveyor/stream'
import { Command, Option } from 'commander'
import { lateness } from './retries.ts'
import { memoryOver } from './soak.ts'
import { median, spread } from './statistics.ts'
import { telemetryCosts } from './telemetry.ts'
import { consumeRound, fill, produceRound } from './throughput.ts'
import { trimPause } from './trim-pause.ts'

const PARTS = ['consume', 'produce', 'retries', 'history', 'telemetry', 'trim', 'memory', 'recovery'] as const
type Part = (typeof PARTS)[number]

const { rounds, only, quick, json } = new Command('bench')
  .description(
    'Measures Conveyor beside the least that bare Redis needs, on one Redis with appendfsync always',
  )
  .option('--rounds <n>', 'rounds of each comparison', Number, 5)
  .addOption(new Option('--only <part...>', 'only these parts').choices(PARTS))
  .option('--quick', 'smaller amounts: a check that it runs, not a measurement')
  .option('--json <file>', 'also write the figures to a file')
  .parse()
  .opts<{ rounds: number; only?: Part[]; quick?: boolean; json?: string }>()

const wanted = (part: Part) => !only || only.includes(part)
const say = (text: string) => process.stdout.write(`${text}\n`)
const figures: Record<string, unknown> = {}

const binary = await findRedisServer({ log: say })
const server = await startRedis({ path: binary.path })
const outputDir = await mkdtemp(join(tmpdir(), 'conveyor-bench-'))
const redis = await connect(server.url, 'bench', 600_000)
try {
  figures.machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, ${binary.kind} ${binary.version}`
  say(`${figures.machine}, appendfsync always`)
  if (wanted('consume')) await consume(quick ? 50_000 : 600_000)
  if (wanted('produce')) await produce(quick ? 50_000 : 600_000)
  if (wanted('retries')) await retries(quick ? 50_000 : 600_000, quick ? 2000 : 20_000)
  if (wanted('history')) await history(quick ? 50_000 : 600_000)
  if (wanted('telemetry')) await telemetry(quick ? 100_000 : 3_000_000, quick ? 200 : 2000)
  if (wanted('trim')) await trimming(quick ? 20_000 : 200_000)
  if (wanted('memory')) await memory(quick ? [20_000, 40_000] : [1_000_000, 2_000_000, 5_000_000, 10_000_000])
  if (wanted('recovery')) await recovery(quick ? 2 : 50)
  if (json) await writeFile(json, `${JSON.stringify(figures, null, 2)}\n`)
} finally {
  redis.disconnect()
  await server.stop()
  await rm(outputDir, { recursive: true, force: true })
}

/** Runs all contenders once a round, in turn, so that a machine that drifts drifts for all. */
async function compare(
  title: string,
  contenders: [name: string, run: (round: string) => Promise<number>][],
): Promise<void> {
  say(`\n${title}: messages per second, median of ${rounds} rounds (least to most), ratio to the first`)
  const rates = new Map<string, number[]>(contenders.map(([name]) => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const [index, [name, run]] of contenders.entries())
      rates.get(name)?.push(await run(`${round}_${index}`))
    if (process.stderr.isTTY) process.stderr.write(`  round ${round} of ${rounds}\r`)
  }
  report([...rates])
}

/** Prints what was measured in each round, and keeps it. The first is what others are compared with. */
function report(rates: [name: string, perRound: number[]][]): void {
  const base = rates[0]?.[1] ?? []
  for (const [name, all] of rates) {
    const ratios = all.map((rate, round) => rate / (base[round] as number))
    say(`  ${name.padEnd(50)} ${spread(all).padStart(32)}   ${spread(ratios, 2)}`)
    figures[name] = { rates: all.map(Math.round), ratio: median(ratios) }
  }
}

async function consume(total: number): Promise<void> {
  const stream = 'bench_consume'
  await fill(server.url, stream, total)
  const round = (count: number, dir?: string) => (name: string) =>
    consumeRound(redis, server.url, name, total, { stream, count }, dir)
  await compare(`Consume ${total.toLocaleString('en-US')} packages`, [
    ['bare ioredis loop (read 500, parse, ack)', round(1)],
    ['Conveyor, 1 consumer (exactly once, file, fsync)', round(1, outputDir)],
    ['Conveyor, 3 consumers', round(3, outputDir)],
  ])
  await redis.unlink(stream)
}

async function produce(total: number): Promise<void> {
  const variant = { stream: 'bench_produce' }
  await compare(`Produce ${total.toLocaleString('en-US')} packages`, [
    ['bare script loop (500 a call)', round => produceRound(redis, server.url, round, total, variant, true)],
    ['Conveyor producer (exactly once)', round => produceRound(redis, server.url, round, total, variant)],
  ])
}

async function retries(total: number, late: number): Promise<void> {
  const found = await lateness(redis, server.url, late, outputDir)
  const at = (part: number) => found[Math.min(found.length - 1, Math.floor(found.length * part))] as number
  const [p50, p99, most] = [at(0.5), at(0.99), at(1)]
  figures.lateness = { messages: found.length, p50, p99, most }
  say(
    `\nRetries: ${found.length.toLocaleString('en-US')} messages, 1,000 due per second, came back later than due by p50 ${p50} ms, p99 ${p99} ms, at most ${most} ms`,
  )
  const stream = 'bench_waiting'
  await fill(server.url, stream, total)
  const round = (waiting: number) => (name: string) =>
    consumeRound(redis, server.url, name, total, { stream, waiting }, outputDir)
  await compare(`Consume ${total.toLocaleString('en-US')} packages while others wait`, [
    ['Conveyor, nothing waits', round(0)],
    ['Conveyor, 100,000 messages wait for their retry', round(100_000)],
  ])
  await redis.unlink(stream)
}

async function history(total: number): Promise<void> {
  const stream = 'bench_history'
  await fill(server.url, stream, total)
  const round = (HISTORY: string) => (name: string) =>
    consumeRound(redis, server.url, name, total, { stream, env: { HISTORY } }, outputDir)
  await compare(`Consume ${total.toLocaleString('en-US')} packages and keep their history`, [
    ['Conveyor, HISTORY=off', round('off')],
    ['Conveyor, HISTORY=failures', round('failures')],
    ['Conveyor, HISTORY=all', round('all')],
  ])
  await redis.unlink(stream)
}

async function telemetry(backlog: number, windowMs: number): Promise<void> {
  const turns = rounds * 3
  say(
    `\nTelemetry: messages per second, median of up to ${turns} turns (least to most), ratio to the turn without`,
  )
  for await (const { title, off, on } of telemetryCosts({
    redis,
    url: server.url,
    outputDir,
    backlog,
    windowMs,
    turns,
  }))
    report([
      [`${title}, off`, off],
      [`${title}, on`, on],
    ])
}

async function trimming(entries: number): Promise<void> {
  const pause = await trimPause(redis, server.url, entries)
  figures.trim = pause
  say(
    `\nTrim ${entries.toLocaleString('en-US')} entries: longest pause of Redis ${pause.longest.toFixed(2)} ms, ${pause.total.toFixed(1)} ms in ${pause.slices} slices`,
  )
}

async function memory(points: number[]): Promise<void> {
  say('\nMemory of a consumer')
  const found = await memoryOver(redis, server.url, points, outputDir)
  figures.memory = found
  for (const { packages, megabytes } of found) {
    say(
      `  after ${packages.toLocaleString('en-US').padStart(12)} packages ${megabytes.toFixed(1).padStart(7)} MB`,
    )
  }
}

/** Kills consumers under load. */
async function recovery(kills: number): Promise<void> {
  say(
    '\nTime to recover: SIGKILL of one of three consumers until all that it held is committed by the others',
  )
  const text = recoveryHistogram(await measureRecovery({ kills }))
  figures.recovery = text.split('\n').slice(0, 2)
  say(text.replace(/^/gm, '  '))
}
