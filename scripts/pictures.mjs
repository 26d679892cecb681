// `npm run pictures`: makes the pictures of docs/pictures anew. terminal-live.png and terminal.png are a run of
// `npm start` on a Redis of its own; prometheus.png is a page of the stack that `npm run up`
// started, and stays as it is when none is up. Needs Chromium (CHROMIUM names it, else it is looked for on the PATH) and script(1) of util-linux.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findRedisServer, startRedis } from '@conveyor/redis'
import { chromium } from 'playwright-core'

const cwd = fileURLToPath(new URL('..', import.meta.url))
const picture = name => join(cwd, 'docs', 'pictures', name)
const PROMETHEUS = process.env.PROMETHEUS_URL || 'http://localhost:9090'
const SIZE = { cols: 100, rows: 30 }
const RUN = '--packages 30000 --rate 2000'

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

/** A run of the pipeline, once while it runs and once at its end. */
async function terminal() {
  const directory = mkdtempSync(join(tmpdir(), 'conveyor-pictures-'))
  const redis = await startRedis({ path: (await findRedisServer({ log: console.error })).path })
  const start = `npm start --silent -- ${RUN} --redis-url ${redis.url} --output-dir ${directory}`
  const child = spawn(
    'script',
    ['-qfec', `stty cols ${SIZE.cols} rows ${SIZE.rows}; ${start}`, '/dev/null'],
    {
      cwd,
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
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
  const show = async (name, text) => {
    await page.evaluate(shown => new Promise(resolve => globalThis.terminal.write(shown, resolve)), text)
    const used = await page.evaluate(() => globalThis.terminal.buffer.active.cursorY + 1)
    const { height, ...box } = await page.locator('.xterm-screen').boundingBox()
    await page.screenshot({ path: picture(name), clip: { ...box, height: (height * used) / SIZE.rows } })
    console.log(`docs/pictures/${name}`)
  }
  try {
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', text => {
      printed += text
    })
    const ended = new Promise(resolve => child.on('close', resolve))
    await new Promise(resolve => setTimeout(resolve, 9000))
    const sofar = printed.length
    await show('terminal-live.png', printed)
    const status = await ended
    if (status !== 0) throw new Error(`npm start ended with ${status}`)
    await show('terminal.png', printed.slice(sofar))
  } finally {
    child.kill()
    await redis.stop()
    rmSync(directory, { recursive: true, force: true })
    await page.close()
  }
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
