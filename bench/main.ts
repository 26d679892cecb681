import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findRedisServer, startRedis } from '@conveyor/redis'
import { connect } from '@conveyor/stream'
import type { Bench } from './bench.ts'
import { fillDocs } from './docs.ts'
import { parseOptions } from './options.ts'
import { PARTS, PEERED } from './parts.ts'
import { findPeers } from './peers.ts'
import { endAll } from './processes.ts'
import { Progress } from './progress.ts'
import { asMarkdown, asText, type Table } from './table.ts'

const { rounds, only, quick, peers: wanted, json, markdown, docs } = parseOptions()
const say = (text: string) => process.stdout.write(`${text}\n`)
const progress = new Progress()
const tables: Table[] = []
const parts = (Object.keys(PARTS) as (keyof typeof PARTS)[]).filter(part => !only || only.includes(part))

/** Ms that installing the other queues may take. */
const PATIENCE = quick ? 60_000 : 600_000

const binary = await findRedisServer({ log: say })
const server = await startRedis({ path: binary.path })
const outputDir = await mkdtemp(join(tmpdir(), 'conveyor-bench-'))
const cleanUp = async () => {
  await endAll()
  await server.stop()
  await rm(outputDir, { recursive: true, force: true, maxRetries: 5 })
}
const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, ${binary.kind} ${binary.version}, appendfsync always, rounds: ${rounds}`

let stopped = false
const work = run()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop(signal))
try {
  await work
} catch (error) {
  progress.clear()
  if (!stopped) process.stderr.write(`bench: ${(error as Error).message}\n`)
  process.exitCode = 1
} finally {
  await cleanUp()
}

async function run(): Promise<void> {
  const redis = await connect(server.url, 'bench', 600_000)
  try {
    say(machine)
    const { peers, missing } =
      wanted && parts.some(part => PEERED.includes(part))
        ? await findPeers(text => process.stderr.write(`${text}\n`), PATIENCE)
        : { peers: [], missing: [] }
    const bench: Bench = {
      redis,
      url: server.url,
      outputDir,
      rounds,
      quick,
      peers,
      missing,
      docs,
      progress,
    }
    for (const sentence of missing) process.stderr.write(`bench: ${sentence}\n`)
    for (const part of parts) {
      const started = performance.now()
      const found = await PARTS[part](bench)
      progress.clear()
      for (const table of found) say(asText(table))
      progress.show(`${part}: ${Math.round((performance.now() - started) / 1000)} s`)
      tables.push(...found)
    }
    if (json) await writeFile(json, `${JSON.stringify(asJson(), null, 2)}\n`)
    if (markdown) await writeFile(markdown, asReport())
    if (docs) await fillDocs(tables, machine)
  } finally {
    progress.clear()
    redis.disconnect()
  }
}

function asJson() {
  return { machine, ...Object.fromEntries(tables.map(({ id, figures }) => [id, figures])) }
}

function asReport(): string {
  const sections = tables.map(table => `## ${table.title}\n\n${asMarkdown(table)}\n`)
  return [`${machine}\n`, ...sections].join('\n')
}

/** Ends everything that was started; a part that is under way fails then, and has its own temporary files to remove. */
async function stop(signal: NodeJS.Signals): Promise<void> {
  stopped = true
  await cleanUp()
  await Promise.race([work.catch(() => {}), sleep(5000)])
  process.exit(signal === 'SIGINT' ? 130 : 143)
}
