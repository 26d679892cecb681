import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Bench, type Contender, inTurn, type Part } from './bench.ts'
import { end, script, service, start, whileAlive } from './processes.ts'
import { spread } from './statistics.ts'
import { ratios } from './table.ts'
import { producerEnv, until } from './throughput.ts'

/** Requests under way at a time. */
const CONNECTIONS = 64
const BODY = JSON.stringify({
  query: 'how many packages came out?',
  customer: 4711,
  at: '2026-01-01T00:00:00Z',
})

const load = fileURLToPath(new URL('../peers/load.mjs', import.meta.url))
const autocannon = fileURLToPath(new URL('../peers/node_modules/autocannon', import.meta.url))

/** What autocannon finds, as far as it is needed. */
interface Load {
  readonly requests: { readonly average: number }
  readonly latency: { readonly p50: number; readonly p99: number }
  readonly non2xx: number
  readonly errors: number
}

/** Single requests, each answered when Redis has synced its message. */
export const ingest: Part = async bench => {
  const title = `Ingestion: single requests, ${CONNECTIONS} at a time`
  const head = ['', 'requests per second', 'ratio', 'p50, ms', 'p99, ms']
  if (!existsSync(autocannon)) {
    const notes = ['Left out: autocannon is installed with the other queues.']
    return [{ id: 'ingest', title, head, rows: [], notes, figures: [] }]
  }
  const loads = new Map<string, Load[]>()
  const contender = (name: string, open: Open, headers: Record<string, string> = {}): Contender => ({
    name,
    run: async round => {
      const found = await measure(bench, round, open, headers)
      loads.set(name, [...(loads.get(name) ?? []), found])
      return found.requests.average
    },
  })
  const measured = await inTurn(bench, 'Ingestion', [
    contender('bare: Hono, an XADD a request', bare),
    contender('Conveyor', ours),
    contender('Conveyor, each with an Idempotency-Key', ours, { 'idempotency-key': '[<id>]' }),
  ])
  const times = (name: string, which: 'p50' | 'p99') =>
    spread((loads.get(name) ?? []).map(({ latency }) => latency[which]))
  return [
    {
      id: 'ingest',
      title,
      head,
      rows: measured.map((one, n) => [
        one.name,
        spread([...one.values]),
        n === 0 ? '1' : spread(ratios(one, measured[0] as typeof one), 2),
        times(one.name, 'p50'),
        times(one.name, 'p99'),
      ]),
      figures: measured.map(({ name }) => ({ name, loads: loads.get(name) })),
    },
  ]
}

/** Starts a server for a stream. */
type Open = (bench: Bench, stream: string) => Promise<{ child: ChildProcess; url: string }>

const bare: Open = async ({ url }, stream) => {
  const child = script('bare-ingest', [url, stream])
  return { child, url: (await once(child, 'message'))[0] as string }
}

/** A fixed port, since a service does not tell whoever started it which one it took. */
const PORT = 18_321

const ours: Open = async ({ url }, stream) => {
  const child = service('producer', { env: { ...producerEnv(url, stream), RATE: '0', PORT: String(PORT) } })
  const at = `http://127.0.0.1:${PORT}`
  const ready = () =>
    fetch(`${at}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  await whileAlive([child], until(ready)) // it ends when somebody else has the port
  return { child, url: at }
}

async function measure(
  bench: Bench,
  round: string,
  open: Open,
  headers: Record<string, string>,
): Promise<Load> {
  const stream = `bench_ingest_${round}`
  const { child, url } = await open(bench, stream)
  try {
    const [warmUp, duration] = bench.quick ? [1, 1] : [3, 8]
    await whileAlive([child], shoot(url, warmUp, headers))
    const found = await whileAlive([child], shoot(url, duration, headers))
    if (found.non2xx > 0 || found.errors > 0)
      throw new Error(`ingestion: ${found.non2xx} requests were refused, ${found.errors} failed`)
    return found
  } finally {
    await end([child], 'SIGKILL')
    await bench.redis.unlink(stream)
  }
}

async function shoot(url: string, duration: number, headers: Record<string, string>): Promise<Load> {
  const options = {
    url: `${url}/messages`,
    method: 'POST',
    body: BODY,
    headers: { 'content-type': 'application/json', ...headers },
    idReplacement: Object.keys(headers).length > 0,
    connections: CONNECTIONS,
    duration,
  }
  const child = start(process.execPath, [load, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', more => {
    text += more
  })
  await once(child, 'close')
  return JSON.parse(text)
}
