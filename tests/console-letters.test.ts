import { readFile } from 'node:fs/promises'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { CHROMIUM, startConsole, useBrowser, type Visit } from './browser.ts'
import { bury, letterIds } from './letters.ts'
import { type Bench, bench, until, useRedis } from './redis.ts'

vi.setConfig({ testTimeout: 120_000 })

/** What would be noticed if it ever were anything but text. */
const ATTACK = '<img src=x onerror=alert(1)><script>alert(2)</script>'

describe.skipIf(!CHROMIUM)('dead letters in a browser', () => {
  const browser = useBrowser()
  const on = useRedis()
  let b: Bench

  beforeEach(async () => {
    b = await bench(on)
    const session = await b.open('c1')
    await bury(b, session, 12, { detail: 'Error: connect ECONNREFUSED' })
    await bury(b, session, 5, { reason: 'rejected', detail: ATTACK, stack: ATTACK }, ATTACK)
    await bury(b, session, 2, { detail: 'Error: connect ECONNREFUSED', replays: 3 })
  })

  async function visit(hash: string, env: NodeJS.ProcessEnv = {}): Promise<Visit> {
    const { url } = await startConsole(b.directory, {
      REDIS_URL: b.url,
      STREAM: b.keys.stream,
      GROUP: b.keys.group,
      OUTPUT_DIR: b.directory,
      ...env,
    })
    return browser.open(`${url}/${hash}`)
  }

  test('all that match a filter are replayed once their number is typed', async () => {
    const seen = await visit('#/dead')
    const { page } = seen
    await page.getByText('19 letters in all').waitFor()
    await page.getByLabel('Error contains').fill('econnrefused')
    await page.getByRole('button', { name: 'Filter' }).click()
    await page.getByText('14 letters match').waitFor()
    expect(page.url()).toMatch(/#\/dead\?error=econnrefused$/)
    // 14 match, and 2 of them are in quarantine.
    await page.getByRole('button', { name: /^Replay all 12 that match/ }).click()
    const dialog = page.getByRole('dialog', { name: 'Replay 12 dead letters' })
    await dialog.getByText(`conveyor dlq replay --all --error econnrefused`, { exact: false }).waitFor()
    const replay = dialog.getByRole('button', { name: 'Replay 12' })
    expect(await replay.isDisabled()).toBe(true)
    await dialog.getByLabel(/Type 12 to confirm/).fill('14')
    expect(await replay.isDisabled()).toBe(true)
    await dialog.getByLabel(/Type 12 to confirm/).fill('12')
    await replay.click()
    await page.getByText('Replayed 12 dead letters').waitFor()
    await until(async () => (await letterIds(b)).length === 7, 'seven are left')
    expect(await b.count('replayed')).toBe(12)
    await page.getByText('2 letters match').waitFor()

    await seen.go('#/audit')
    await page.getByRole('cell', { name: 'replay', exact: true }).waitFor()
    seen.expectQuiet()
  })

  test('a number that does not hold any more is refused', async () => {
    const seen = await visit('#/dead?reason=rejected')
    const { page } = seen
    await page.getByRole('button', { name: /^Purge all 5 that match/ }).click()
    const dialog = page.getByRole('dialog', { name: 'Purge 5 dead letters' })
    await dialog.getByLabel(/Type 5 to confirm/).fill('5')
    const [one] = (await letterIds(b)).slice(12)
    await b.redis.xdel(b.keys.dead, one as string)
    await dialog.getByRole('button', { name: 'Purge 5' }).click()
    await dialog.getByRole('alert').waitFor()
    expect(await letterIds(b)).toHaveLength(18)
  })

  test('selected ones are purged; what came from outside is text everywhere', async () => {
    const seen = await visit('#/dead')
    const { page } = seen
    await page.getByRole('link', { name: /^rejected/ }).click()
    await page.getByText('5 letters match').waitFor()
    await page.getByRole('link', { name: ATTACK }).first().click()
    await page.getByRole('region', { name: 'Payload text' }).getByText('<script>').waitFor()
    await page.getByRole('region', { name: 'Stack text' }).getByText('<script>').waitFor()
    await page.getByRole('link', { name: '← Dead letters' }).click()
    await page.getByText('5 letters match').waitFor()
    const boxes = page.getByRole('checkbox', { name: /^Select package/ })
    await boxes.nth(0).check()
    await boxes.nth(1).check()
    await page.getByRole('button', { name: 'Purge selected' }).click()
    const dialog = page.getByRole('dialog', { name: 'Purge 2 dead letters' })
    await dialog.getByRole('button', { name: 'Purge 2' }).click()
    await page.getByText('3 letters match').waitFor()
    expect(await b.count('purged')).toBe(2)
    expect(await seen.evaluate('document.querySelectorAll("main img, main script").length')).toBe(0)
    seen.expectQuiet()
  })

  test('by keyboard alone', async () => {
    const seen = await visit('')
    const { page } = seen
    await page.getByRole('heading', { name: 'Flow' }).waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('d')
    await page.getByText('19 letters in all').waitFor()
    const focused = () => seen.evaluate<string>('document.activeElement.textContent')
    for (let n = 0; n < 40 && !(await focused()).startsWith('Replay all'); n++)
      await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Replay 17 dead letters' })
    await dialog.waitFor()
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    expect(await focused()).toMatch(/^Replay all/)
    await page.keyboard.press('Enter')
    await dialog.waitFor()
    await page.keyboard.type('17')
    await page.keyboard.press('Enter')
    await page.getByText('Replayed 17 dead letters').waitFor()
    expect(await letterIds(b)).toHaveLength(2)
  })

  test('a slow replay shows how far it is, and can be stopped', async () => {
    const { page } = await visit('#/dead')
    await page.getByRole('button', { name: /^Replay all 17/ }).click()
    const dialog = page.getByRole('dialog', { name: 'Replay 17 dead letters' })
    await dialog.getByLabel('At most so many a second').fill('2')
    await dialog.getByLabel(/Type 17 to confirm/).fill('17')
    await dialog.getByText(/--rate 2/).waitFor()
    await dialog.getByRole('button', { name: 'Replay 17' }).click()
    const job = page.getByRole('list', { name: 'Bulk actions' }).getByRole('listitem').first()
    await job.getByText(/^[2-9] of 17 letters/).waitFor()
    await job.getByRole('button', { name: 'Stop' }).click()
    await job.getByText(/^Replayed \d+ dead letters, stopped with \d+ left/).waitFor()
    const left = (await letterIds(b)).length
    expect(left).toBeGreaterThan(2)
    expect(await b.count('replayed')).toBe(19 - left)
  })

  test('what matches is exported, a letter a line', async () => {
    const { page } = await visit('#/dead?reason=rejected')
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Export' }).click(),
    ])
    const lines = (await readFile(await download.path(), 'utf8')).trim().split('\n')
    expect(lines.map(line => JSON.parse(line).reason)).toEqual(Array(5).fill('rejected'))
  })

  test('a name of a consumer is text', async () => {
    await b.redis.hset(b.keys.sessions, ATTACK, `token ${ATTACK}/1`)
    const seen = await visit('#/consumers')
    await seen.page.getByRole('cell', { name: ATTACK, exact: true }).waitFor()
    await seen.go('#/')
    await seen.page.getByRole('cell', { name: ATTACK, exact: true }).waitFor()
    expect(await seen.evaluate('document.querySelectorAll("main img, main script").length')).toBe(0)
    seen.expectQuiet()
  })

  test('one is edited and replayed', async () => {
    const [first] = await letterIds(b)
    const seen = await visit(`#/dead/${first}`)
    const { page } = seen
    await page.getByRole('button', { name: 'Edit and replay' }).click()
    const dialog = page.getByRole('dialog', { name: 'Edit and replay' })
    const payload = dialog.getByLabel('Payload, a JSON object')
    await payload.fill('{"type":')
    await dialog.getByText(/This is no JSON/).waitFor()
    expect(await dialog.getByRole('button', { name: 'Replay with' }).isDisabled()).toBe(true)
    await payload.fill('{"type":"success"}')
    await dialog.getByText(`conveyor dlq edit ${first} --payload`, { exact: false }).waitFor()
    await dialog.getByRole('button', { name: 'Replay with' }).click()
    await until(async () => !(await letterIds(b)).includes(first as string), 'the letter is gone')
    const [[, fields] = []] = await b.redis.xrevrange(b.keys.stream, '+', '-', 'COUNT', 1)
    expect(fields?.join(' ')).toContain('"type":"success"')
  })

  test('with a token, changes ask for it, and looking does not', async () => {
    const [first] = await letterIds(b)
    const seen = await visit(`#/dead/${first}`, { CONSOLE_TOKEN: 'open-sesame-0123456789' })
    const { page } = seen
    await page.getByText('Read-only').waitFor()
    const give = async (token: string) => {
      await page.getByRole('button', { name: 'Replay', exact: true }).click()
      await page.getByRole('dialog', { name: 'A token is needed' }).getByLabel('Token').fill(token)
      await page.getByRole('button', { name: 'Use it' }).click()
      await page
        .getByRole('dialog', { name: 'Replay 1 dead letter' })
        .getByRole('button', { name: 'Replay 1', exact: true })
        .click()
    }
    await give('guess')
    await page.getByRole('dialog').getByRole('alert').waitFor()
    expect(await letterIds(b)).toHaveLength(19)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await give('open-sesame-0123456789')
    await until(async () => (await letterIds(b)).length === 18, 'it was replayed')
  })
})
