import { get } from 'node:http'

/**
 * `node console/dist/measure.js <url> <pid> [seconds]`: which part of a core a console takes while nobody looks, and
 * while one page does. Linux only.
 */
const [url = '', pid = '', seconds = '20'] = process.argv.slice(2)
if (!url || !pid) {
  process.stderr.write('node console/dist/measure.js <url> <pid> [seconds]\n')
  process.exit(2)
}

const { readFile } = await import('node:fs/promises')
const { setTimeout: sleep } = await import('node:timers/promises')
/** Clock ticks a second, which Linux has settled on. */
const TICKS = 100

async function share(ms: number): Promise<number> {
  const before = await ticks()
  const started = performance.now()
  await sleep(ms)
  return ((await ticks()) - before) / TICKS / ((performance.now() - started) / 1000)
}

async function ticks(): Promise<number> {
  const [, rest = ''] = (await readFile(`/proc/${pid}/stat`, 'latin1')).split(') ')
  const fields = rest.split(' ')
  return Number(fields[11]) + Number(fields[12])
}

const print = (what: string, part: number, more = '') =>
  process.stdout.write(`${what.padEnd(14)} ${(part * 100).toFixed(1).padStart(5)} % of a core${more}\n`)

const span = Number(seconds) * 1000
print('nobody looks', await share(span))
let bytes = 0
let rate: number | null = null
const request = get(`${url}/api/events`, response => {
  response.setEncoding('utf8').on('data', (chunk: string) => {
    bytes += chunk.length
    rate = Number(/"in":([\d.]+)/.exec(chunk)?.[1] ?? rate)
  })
})
await sleep(3000) // it begins by reading all files
const from = bytes
const part = await share(span)
print(
  'one page looks',
  part,
  `, ${Math.round(rate ?? 0).toLocaleString('en-US')} packages/s, ${((bytes - from) / span).toFixed(1)} kB/s sent`,
)
request.destroy()
