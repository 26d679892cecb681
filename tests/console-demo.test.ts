import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { CHROMIUM, useBrowser } from './browser.ts'
import { tempDir, until } from './redis.ts'

vi.setConfig({ testTimeout: 180_000 })

const main = fileURLToPath(new URL('../cli/dist/main.js', import.meta.url))

/** `conveyor up` in a folder of its own; returns the address of its console. */
async function up(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [main, 'up', ...args], {
    cwd: await tempDir(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', text => {
      printed += text
    })
  onTestFinished(async ({ task }) => {
    if (child.exitCode === null) {
      child.kill('SIGINT')
      await once(child, 'exit')
    }
    if (task.result?.state === 'fail') console.error(printed.slice(-4000))
  })
  const url = await until(() => /console (http:\S+)/.exec(printed)?.[1], 'the console is named', 60_000)
  const answers = () =>
    fetch(`${url}/api/about`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until(answers, 'the console answers', 60_000)
  return String(url)
}

describe.skipIf(!CHROMIUM)('the demonstration', () => {
  const browser = useBrowser()

  test('a visitor tries to break the promise, and it holds', async () => {
    const { page, ...seen } = await browser.open(await up('--rate', '300'))
    const exact = page.getByRole('region', { name: 'Exactly once' })
    await exact.waitFor()
    await page.getByRole('button', { name: 'Try to break it' }).click()
    const demo = page.getByRole('region', { name: 'Try to break it' })
    const consumers = page.getByRole('table', { name: 'Consumers of the group' })
    const row = (id: string) =>
      consumers.getByRole('row').filter({ has: page.getByRole('cell', { name: id, exact: true }) })

    await demo.getByRole('button', { name: /^Kill c1/ }).click()
    await page
      .getByRole('status')
      .getByText(/^kill -9 \d+/)
      .waitFor()
    const marks = page.getByRole('list', { name: 'Faults that were injected' })
    await marks.getByText(/c1/).first().waitFor()

    await demo.getByRole('button', { name: /^Freeze c2/ }).click()
    await row('c2')
      .getByText(/^(silent|dead|ended|fenced)$/)
      .waitFor()
    await demo.getByRole('button', { name: /^Wake c2/ }).click()
    await row('c2').getByText('live', { exact: true }).waitFor()

    await demo.getByRole('button', { name: 'Add a consumer' }).click()
    await row('c4').getByText('live', { exact: true }).waitFor()

    await demo.getByRole('button', { name: 'Cut all connections' }).click()
    await demo.getByRole('button', { name: 'Restart Redis' }).click()
    await marks.getByText(/Redis/).first().waitFor()

    const committed = async () =>
      Number(
        /committed ([\d,]+)/
          .exec((await exact.textContent())?.replace(/\s+/g, ' ') ?? '')?.[1]
          ?.replaceAll(',', ''),
      )
    await exact.waitFor()
    const before = await committed()
    await until(async () => (await committed()) > before + 600, 'it goes on, and the verdict stands', 60_000)
    expect(seen.complaints).toEqual([])
  })
})
