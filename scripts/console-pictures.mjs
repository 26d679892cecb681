// `node scripts/console-pictures.mjs`: makes docs/pictures/console*.png anew, of a run of `npm start` in which packages
// fail, a consumer is killed and Redis is restarted, both by the page's own buttons. Takes two minutes. Needs Chromium
// (CHROMIUM names it, else it is looked for on the PATH).
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const root = fileURLToPath(new URL('..', import.meta.url))
const picture = name => join(root, 'docs', 'pictures', name)
const RUN = ['--rate', '1500', '--handler', 'demo', '--mix', 'success=90,retry=8,fail=1,order=1']

const executablePath = [process.env.CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome']
  .filter(Boolean)
  .map(name => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim())
  .find(Boolean)
if (!executablePath) {
  console.error('conveyor: no Chromium: install it, or name it in CHROMIUM')
  process.exit(2)
}

const directory = mkdtempSync(join(tmpdir(), 'conveyor-pictures-'))
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
const run = spawn(process.execPath, [join(root, 'cli', 'dist', 'main.js'), 'up', ...RUN], {
  cwd: directory,
  env: { ...process.env, HISTORY: 'all' },
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  const url = await consoleOf(run)
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark' })
  await page.goto(url)
  await page.getByRole('region', { name: 'Exactly once' }).waitFor()
  await sleep(25_000)
  await press(page, /^Kill c2/)
  await sleep(20_000)
  await press(page, /^Restart Redis/)
  await sleep(45_000)
  await page.getByRole('region', { name: 'Exactly once' }).waitFor()
  await show(page, 'console.png', { fullPage: true })

  await page.emulateMedia({ colorScheme: 'light' })
  await show(page, 'console-light.png', { fullPage: true })
  await page.setViewportSize({ width: 390, height: 844 })
  await page.evaluate('scrollTo(0, 0)')
  await show(page, 'console-390.png')
  await page.setViewportSize({ width: 1440, height: 900 })
  await page.emulateMedia({ colorScheme: 'dark' })

  await page.goto(`${url}/#/dead`)
  await page.getByRole('button', { name: /^Replay all/ }).click()
  await show(page, 'console-dead-letters.png')
  await page.keyboard.press('Escape')
  await page.getByRole('table').getByRole('link').first().click()
  await page.getByRole('region', { name: 'History' }).getByRole('listitem').first().waitFor()
  await show(page, 'console-message.png')
} finally {
  await browser.close()
  run.kill('SIGINT')
  if (run.exitCode === null) await once(run, 'exit')
  rmSync(directory, { recursive: true, force: true })
}

/** Address of the console, as `npm start` prints it. */
async function consoleOf({ stdout }) {
  let printed = ''
  stdout.setEncoding('utf8')
  for await (const text of stdout.iterator({ destroyOnReturn: false })) {
    printed += text
    const [, url] = /console\s+(https?:\/\/[^\s/]+)/i.exec(printed) ?? []
    if (url === undefined) continue
    stdout.resume()
    await answers(url)
    return url
  }
  throw new Error(`npm start names no console:\n${printed}`)
}

async function answers(url) {
  for (let tries = 0; ; tries++) {
    const there = await fetch(url).catch(error => {
      if (tries > 100) throw error
    })
    if (there) return
    await sleep(100)
  }
}

async function press(page, name) {
  await page.getByRole('button', { name }).first().click()
  await page.getByRole('status').getByRole('button', { name: 'Close' }).first().click()
}

async function show(page, name, options = {}) {
  await sleep(1500) // the page has settled, and its toasts are gone
  await page.screenshot({ path: picture(name), ...options })
  console.log(`docs/pictures/${name}`)
}
