// `npm run pictures`: makes the pictures of docs/pictures anew. terminal-live.png and terminal.png are a run of
// `npm start` on a Redis of its own, monitor.png shows another one, in which packages fail; prometheus.png is a page of
// the stack that `npm run up` started, and stays as it is when none is up. Needs Chromium (CHROMIUM names it, else it is looked for on the PATH) and script(1) of util-linux.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { findRedisServer, startRedis } from '@conveyor/redis'
import { chromium } from 'playwright-core'

const cwd = fileURLToPath(new URL('..', import.meta.url))
const picture = name => join(cwd, 'docs', 'pictures', name)
const PROMETHEUS = process.env.PROMETHEUS_URL || 'http://localhost:9090'
const SIZE = { cols: 100, rows: 30 }
const RUN = '--packages 30000 --rate 2000'
const FAILING = '--rate 1000 --handler demo --mix success=85,retry=10,fail=2,order=3'

const executablePath = [process.env.CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome']
  .filter(Boolean)
  .map(name => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim())
  .find(Boolean)
if (!executablePath) {
  console.error('conveyor: no Chromium: install it, or name it in CHROMIUM')
  process.exit(2)
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
try {
  await terminal()
  await prometheus()
} finally {
  await browser.close()
}

/** A run of the pipeline, once while it runs and once at its end; and the monitor beside a second one. */
async function terminal() {
  const directory = mkdtempSync(join(tmpdir(), 'conveyor-pictures-'))
  const redis = await startRedis({ path: (await findRedisServer({ log: console.error })).path })
  const start = options =>
    inTerminal(`npm start --silent -- ${options} --redis-url ${redis.url} --output-dir ${directory}`)
  const running = []
  try {
    const run = start(RUN)
    running.push(run)
    await sleep(9000)
    const sofar = run.printed().length
    await show('terminal-live.png', run.printed())
    const status = await run.ended
    if (status !== 0) throw new Error(`npm start ended with ${status}`)
    await show('terminal.png', run.printed().slice(sofar))

    running.push(start(`${FAILING} --fresh`))
    await sleep(12_000)
    const monitor = inTerminal(`npm run --silent monitor -- --redis-url ${redis.url}`)
    running.push(monitor)
    await sleep(8000)
    await show('monitor.png', monitor.printed())
  } finally {
    for (const { child } of running) if (child.exitCode === null) child.stdin.write('\x03') // Ctrl-C
    await Promise.all(running.map(({ ended }) => ended))
    await redis.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Starts a command that takes what it writes to for a terminal of our size. */
function inTerminal(command) {
  const child = spawn(
    'script',
    ['-qfec', `stty cols ${SIZE.cols} rows ${SIZE.rows}; ${command}`, '/dev/null'],
    {
      cwd,
      env: { ...process.env, PORT: '0' },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    printed += text
  })
  return { child, printed: () => printed, ended: new Promise(resolve => child.on('close', resolve)) }
}

/** Draws what was printed as a terminal shows it. */
async function show(name, text) {
  const page = await browser.newPage({ viewport: { width: 1000, height: 700 }, deviceScaleFactor: 2 })
  const xterm = createRequire(import.meta.url).resolve('@xterm/xterm')
  await page.setContent('<body style="margin: 0; background: #1e1e1e"><div id="screen"></div>')
  await page.addStyleTag({ path: join(xterm, '../../css/xterm.css') })
  await page.addScriptTag({ path: xterm })
  await page.evaluate(size => {
    const options = {
      ...size,
      fontSize: 14,
      fontFamily: 'DejaVu Sans Mono, monospace',
      cursorInactiveStyle: 'none',
    }
    globalThis.terminal = new globalThis.Terminal({ ...options, theme: { background: '#1e1e1e' } })
    globalThis.terminal.open(globalThis.document.getElementById('screen'))
  }, SIZE)
  await page.evaluate(shown => new Promise(resolve => globalThis.terminal.write(shown, resolve)), text)
  const used = await page.evaluate(() => globalThis.terminal.buffer.active.cursorY + 1)
  const { height, ...box } = await page.locator('.xterm-screen').boundingBox()
  await page.screenshot({ path: picture(name), clip: { ...box, height: (height * used) / SIZE.rows } })
  await page.close()
  console.log(`docs/pictures/${name}`)
}

/** Packages per second of each consumer, on Prometheus' own page. */
async function prometheus() {
  const answer = await fetch(`${PROMETHEUS}/api/v1/status/buildinfo`).catch(() => undefined)
  if (!answer?.ok) return console.log(`prometheus.png is left as it is: ${PROMETHEUS} does not answer`)
  const { version } = (await answer.json()).data
  const parameters = new URLSearchParams({
    'g0.expr': 'sum by (consumer) (rate(messages_processed_total[30s]))',
    'g0.tab': version.startsWith('2.') ? '0' : 'graph',
    'g0.range_input': '5m',
    'g0.stacked': '1',
  })
  const page = await browser.newPage({ viewport: { width: 1200, height: 1000 } })
  const path = version.startsWith('2.') ? 'graph' : 'query'
  await page.goto(`${PROMETHEUS}/${path}?${parameters}`, { waitUntil: 'networkidle' })
  await page.screenshot({ path: picture('prometheus.png') })
  console.log('docs/pictures/prometheus.png')
  await page.close()
}
