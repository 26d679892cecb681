import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root, ServiceProcess } from '@conveyor/chaos'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'

/** Path of the Chromium that tests open pages in; undefined when there is none. CHROMIUM names another one. */
export const CHROMIUM = [process.env.CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome']
  .flatMap(name => (name ? [spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim()] : []))
  .find(Boolean)

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** One browser for all tests of a file. */
export function useBrowser(): { open(url: string, options?: BrowserContextOptions): Promise<Visit> } {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM as string, args: ['--no-sandbox'] })
  })
  afterAll(() => browser?.close())
  return { open: (url, options) => Visit.start(browser, url, options) }
}

/** A page that is visited, and everything about it that a visitor should never see. */
export class Visit {
  /** Errors of its console, among them what the content security policy refused; and dialogs that it opened. */
  readonly complaints: string[] = []
  /** URLs that it asked for. */
  readonly requests: string[] = []

  private constructor(readonly page: Page) {
    page.on('console', message => {
      if (message.type() === 'error') this.complaints.push(message.text())
    })
    page.on('pageerror', error => this.complaints.push(String(error)))
    page.on('dialog', dialog => {
      this.complaints.push(`dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    page.on('request', request => this.requests.push(request.url()))
  }

  /** Opens a page; it is closed at the end of the test. */
  static async start(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
    onTestFinished(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(20_000)
    const visit = new Visit(page)
    await page.goto(url)
    return visit
  }

  /** Goes to another address of the page, as a link would. */
  async go(hash: string): Promise<void> {
    await this.page.goto(`${new URL(this.page.url()).origin}/${hash}`)
  }

  /** Evaluates an expression, which the page's policy would not allow in the page itself. */
  async evaluate<T>(expression: string): Promise<T> {
    const session = await this.page.context().newCDPSession(this.page)
    try {
      const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
        expression,
        awaitPromise: true,
        returnByValue: true,
      })
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
      return result.value as T
    } finally {
      await session.detach()
    }
  }

  /** Px by which the page is wider than the window. */
  overflow(): Promise<number> {
    return this.evaluate('document.documentElement.scrollWidth - innerWidth')
  }

  /**
   * What axe finds wrong, a line each.
   *
   * @param rules only these; default: all
   */
  async violations(rules?: readonly string[]): Promise<string[]> {
    if (!(await this.evaluate<boolean>('globalThis.axe !== undefined'))) await this.evaluate(`${AXE};0`)
    const found = `axe.run(${JSON.stringify(rules ? { runOnly: rules } : {})}).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
      nodes.map(node => id + ': ' + node.target.join(' ') + ': ' + node.failureSummary)))`
    return this.evaluate(found)
  }

  /** Throws when the page complained, or asked anybody but its own host. */
  expectQuiet(): void {
    expect(this.complaints).toEqual([])
    const { host } = new URL(this.page.url())
    const others = this.requests.filter(url => !url.startsWith('data:') && new URL(url).host !== host)
    expect(others).toEqual([])
  }
}

/** The console as a process, which ends with its test. */
export async function startConsole(
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly url: string; readonly process: ServiceProcess }> {
  const started = new ServiceProcess('console', join(root, 'console', 'dist', 'main.js'), [], {
    env: { ...process.env, PORT: '0', ...env },
    cwd,
  })
  onTestFinished(async ({ task }) => {
    await started.kill()
    if (task.result?.state === 'fail') console.error(started.lastWords())
  })
  const { url } = await started.logged('console started')
  return { url: String(url), process: started }
}
