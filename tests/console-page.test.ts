import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pipeline } from '@conveyor/chaos'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { CHROMIUM, startConsole, useBrowser, type Visit } from './browser.ts'
import { until } from './redis.ts'
import { startPipeline } from './start-pipeline.ts'

vi.setConfig({ testTimeout: 180_000 })

const MIX = 'success=80,retry=16,fail=4'

/** They have no end of their own. */
function endWithTest(pipeline: Pipeline): void {
  onTestFinished(async () => {
    await Promise.all(pipeline.services.map(service => service.kill()))
  })
}

if (!CHROMIUM) console.warn('no Chromium: the console is not tested in a browser')

describe.skipIf(!CHROMIUM)('the console in a browser, with services under load', () => {
  const browser = useBrowser()

  /** Three consumers, a producer, a console, and its page. */
  async function visit(hash = '', env: NodeJS.ProcessEnv = {}): Promise<{ pipeline: Pipeline; seen: Visit }> {
    const pipeline = await startPipeline({
      HANDLER: 'demo',
      MIX,
      SEED: '1',
      RETRY_DELAY_MS: '300',
      HISTORY: 'all',
    })
    pipeline.consumers(['c1', 'c2', 'c3'])
    pipeline.producer(0, { RATE: '200' })
    endWithTest(pipeline)
    await pipeline.committed(100)
    const { url } = await startConsole(pipeline.dir, {
      REDIS_URL: pipeline.redis.url,
      OUTPUT_DIR: pipeline.outputDir,
      ...env,
    })
    return { pipeline, seen: await browser.open(`${url}/${hash}`) }
  }

  test('the verdict comes first and is the largest; it holds while packages come', async () => {
    const { seen } = await visit()
    const { page } = seen
    const verdict = page.getByRole('region', { name: 'Exactly once' })
    await verdict.waitFor()
    const equation =
      /produced ([\d,]+) = committed ([\d,]+) \+ waiting ([\d,]+) \+ dead ([\d,]+), gaps 0, duplicates 0/
    const figures = async () => {
      const text = (await verdict.textContent())?.replace(/\s+/g, ' ') ?? ''
      expect(text).toMatch(equation)
      return (equation.exec(text) ?? []).slice(1).map(number => Number(number.replaceAll(',', '')))
    }
    const first = await figures()
    for (let n = 0; n < 20; n++) {
      const [produced = 0, committed = 0, waiting = 0, dead = 0] = await figures()
      expect(produced).toBe(committed + waiting + dead)
    }
    await until(async () => ((await figures())[1] ?? 0) > (first[1] ?? 0) + 200, '200 more are committed')

    const top = 'document.querySelector("main .verdict").getBoundingClientRect().top'
    expect(
      await seen.evaluate<number>(
        `${top} < document.querySelector("main .panel").getBoundingClientRect().top`,
      ),
    ).toBe(true)
    const sizes = `[...document.querySelectorAll('body *')].map(one => parseFloat(getComputedStyle(one).fontSize))`
    expect(
      await seen.evaluate(
        `parseFloat(getComputedStyle(document.querySelector('h1')).fontSize) === Math.max(...${sizes})`,
      ),
    ).toBe(true)
    expect(await page.title()).toBe('✓ Overview · Conveyor')

    for (const stop of ['Producer', 'Stream', 'Consumers', 'Files'])
      await page
        .getByRole('listitem')
        .filter({ has: page.getByRole('heading', { name: stop, exact: true }) })
        .waitFor()
    for (const chart of [/^Packages, .* in [\d,.]+\/s, out/, /^Lag, .* packages [\d,]+/, /^Latency, .* p99 /])
      await page.getByRole('img', { name: chart }).waitFor()
    seen.expectQuiet()
  })

  test('a package in two lines turns it red, and leads to the package', async () => {
    const { pipeline, seen } = await visit()
    const { page } = seen
    await page.getByRole('region', { name: 'Exactly once' }).waitFor()
    const folder = await pipeline.runFolder()
    const [line = ''] = (await readFile(join(folder, 'consumer_c1.txt'), 'utf8')).split('\n')
    const number = /package (\d+)/.exec(line)?.[1]
    await appendFile(join(folder, 'consumer_c9.txt'), `${line.replace('c1', 'c9')}\n`)
    const red = page.getByRole('region', { name: 'Not exactly once' })
    const link = red.getByRole('link', { name: `package ${number}` })
    await link.waitFor()
    expect((await red.textContent())?.replace(/\s+/g, ' ')).toMatch(/duplicates 1/)
    expect(await page.title()).toMatch(/^✗/)
    await link.click()
    await page.getByRole('heading', { name: `Package ${number}`, exact: true }).waitFor()
    expect(page.url()).toMatch(new RegExp(`#/message/${number}$`))
  })

  test('a consumer is paused and goes on, another is drained and ends', async () => {
    const { pipeline, seen } = await visit()
    const { page } = seen
    const row = page.getByRole('row').filter({ has: page.getByRole('cell', { name: 'c2', exact: true }) })
    await row.getByText('live', { exact: true }).waitFor()
    await row.getByRole('button', { name: 'Pause c2' }).click()
    await page.getByRole('status').getByText('conveyor consumers pause c2').waitFor()
    await row.getByText('paused', { exact: true }).waitFor()
    const done = async () => (await pipeline.inspect()).consumers.find(({ id }) => id === 'c2')?.done ?? 0
    const rests = async () => {
      const before = await done()
      const { done: all } = await pipeline.inspect()
      await pipeline.committed(all + 200)
      return (await done()) === before
    }
    await until(rests, 'others work and it does not', 60_000)
    const before = await done()

    await row.getByRole('button', { name: 'Resume c2' }).click()
    await until(async () => (await done()) > before, 'it goes on')

    const c3 = pipeline.services.find(({ name }) => name === 'c3')
    await page.getByRole('button', { name: /^Drain c3/ }).click()
    expect(await c3?.ended()).toEqual({ code: 0, signal: null })
    await page.getByRole('cell', { name: 'c3', exact: true }).waitFor({ state: 'detached' })
    await seen.go('#/audit')
    await page.getByRole('cell', { name: 'pause', exact: true }).waitFor()
    await page.getByRole('cell', { name: 'resume', exact: true }).waitFor()
    seen.expectQuiet()
  })

  test('a message is found by its number, by a link, and by what is in it', async () => {
    const { pipeline, seen } = await visit()
    const { page } = seen
    const letter = await until(async () => (await pipeline.deadLetters())[2], 'some packages are dead')
    const dead = letter?.package ?? 0

    await page.keyboard.press('/')
    await page.keyboard.type(String(dead))
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: `Package ${dead}`, exact: true }).waitFor()
    const steps = page.getByRole('region', { name: 'History' }).getByRole('listitem')
    await steps.nth(4).waitFor()
    const events = (await steps.allTextContents()).join('\n')
    expect(events).toMatch(
      /appended[\s\S]*delivered[\s\S]*to c\d, attempt 1[\s\S]*failed[\s\S]*this package always fails[\s\S]*dead/,
    )
    await page.getByRole('link', { name: `letter ${letter?.id}` }).click()
    await page.getByText('Error: this package always fails').first().waitFor()

    await seen.go('#/message/1')
    await page.getByText('committed', { exact: true }).first().waitFor()
    await page
      .getByText(/consumer_c\d\.txt, line \d+/)
      .first()
      .waitFor()
    await page.getByRole('link', { name: '2 →' }).click()
    await page.getByRole('heading', { name: 'Package 2', exact: true }).waitFor()

    await seen.go('#/search')
    await page.getByLabel('Text', { exact: true }).fill('always fails')
    await page.getByLabel('State').selectOption('dead')
    await page.getByRole('button', { name: 'Search' }).click()
    await page
      .getByRole('table', { name: 'What was found' })
      .getByRole('link', { name: String(dead), exact: true })
      .waitFor()
    expect(await page.locator('mark').first().textContent()).toBe('always fails')
    seen.expectQuiet()
  })

  test('what waits is tried at once', async () => {
    const { seen } = await visit('#/pending', {})
    const { page } = seen
    const button = page.getByRole('button', { name: /^Retry now: package/ }).first()
    await button.waitFor()
    await until(async () => {
      await button.click({ timeout: 2000 }).catch(() => undefined)
      return page
        .getByRole('status')
        .getByText(/conveyor retry \d+/)
        .first()
        .isVisible()
    }, 'one was still waiting when it was clicked')
  })

  test('when the console is gone it says since when, and comes back by itself', async () => {
    const pipeline = await startPipeline()
    pipeline.consumer('c1')
    pipeline.producer(0, { RATE: '100' })
    endWithTest(pipeline)
    await pipeline.committed(50)
    const env = { REDIS_URL: pipeline.redis.url, OUTPUT_DIR: pipeline.outputDir }
    const first = await startConsole(pipeline.dir, env)
    const { page } = await browser.open(first.url)
    await page.getByRole('region', { name: 'Exactly once' }).waitFor()
    await first.process.kill()
    await page.getByText(/Stale since \d\d:\d\d:\d\d/).waitFor()
    expect(await page.title()).toMatch(/^\? /)
    await startConsole(pipeline.dir, { ...env, PORT: new URL(first.url).port })
    await page.getByText(/Stale since/).waitFor({ state: 'detached' })
    await page.getByRole('region', { name: 'Exactly once' }).waitFor()
    await until(async () => (await page.title()).startsWith('✓ '), 'the title says so, too')
  })

  test('Redis away: it says so, and goes on when it is back', async () => {
    const { pipeline, seen } = await visit()
    await seen.page.getByRole('region', { name: 'Exactly once' }).waitFor()
    await pipeline.crashRedis(async () => {
      await seen.page
        .getByText(/Redis at .* does not answer/)
        .first()
        .waitFor()
    })
    await seen.page.getByRole('region', { name: 'Exactly once' }).waitFor()
  })

  test('a page that is hidden costs nothing, and is live again when it is shown', async () => {
    const { seen } = await visit()
    const { page } = seen
    const snapshot = new URL('/api/snapshot', page.url())
    // Who asks this is one for as long.
    const viewers = async () => ((await (await fetch(snapshot)).json()) as { viewers: number }).viewers - 1
    const hide = (hidden: boolean) =>
      seen.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))`)
    await until(async () => (await viewers()) === 1, 'one page looks')
    await hide(true)
    await until(async () => (await viewers()) === 0, 'nobody looks')
    await page.getByText(/Stale since/).waitFor()
    await hide(false)
    await page.getByText(/Stale since/).waitFor({ state: 'detached' })
    expect(await viewers()).toBe(1)
    seen.expectQuiet()
  })

  test('one page too many says so, and is live as soon as there is room', async () => {
    const { seen } = await visit()
    const { origin } = new URL(seen.page.url())
    await seen.page.close()
    const others: AbortController[] = []
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => {
        const abort = new AbortController()
        others.push(abort)
        return fetch(`${origin}/api/events`, { signal: abort.signal })
      }),
    )
    onTestFinished(() => {
      for (const abort of others) abort.abort()
    })
    await until(() => answers.filter(({ status }) => status === 200).length >= 15, 'all seats are taken')
    const { page } = await browser.open(`${origin}/`)
    await page.getByText(/serves no more pages at once: close another one/).waitFor()
    for (const abort of others.slice(0, 2)) abort.abort()
    await page.getByRole('region', { name: 'Exactly once' }).waitFor()
  })

  const PAGES = [
    '',
    '#/consumers',
    '#/pending',
    '#/dead',
    '#/search?state=dead',
    '#/message/1',
    '#/health',
    '#/audit',
  ]

  test('every page is fit for screen readers in both themes, and for 390 px', async () => {
    const { pipeline, seen } = await visit()
    const letter = await until(async () => (await pipeline.deadLetters())[0], 'a package is dead')
    const { page } = seen
    const wide = { width: 1440, height: 900 }
    for (const hash of [...PAGES, `#/dead/${letter?.id}`]) {
      await seen.go(hash)
      await page.getByText('live', { exact: true }).first().waitFor()
      await page.getByText(/^Loading /).waitFor({ state: 'detached' })
      for (const viewport of [{ width: 390, height: 844 }, wide]) {
        await page.setViewportSize(viewport)
        // Rows become cards, and back, a moment after the window has another width.
        await until(async () => (await seen.overflow()) === 0, `${hash} fits into ${viewport.width} px`)
      }
      await page.emulateMedia({ colorScheme: 'light' })
      expect({ hash, wrong: await seen.violations() }).toEqual({ hash, wrong: [] })
      // Nothing but colours depends on the theme.
      await page.emulateMedia({ colorScheme: 'dark' })
      await until(
        async () => (await seen.evaluate('document.documentElement.dataset.theme')) === 'dark',
        'dark',
      )
      expect({ hash, wrong: await seen.violations(['color-contrast']) }).toEqual({ hash, wrong: [] })
    }
    await page.setViewportSize({ width: 390, height: 844 })
    expect({ wrong: await seen.violations() }).toEqual({ wrong: [] })
    seen.expectQuiet()
  })
})
