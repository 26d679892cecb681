import { readFile } from 'node:fs/promises'
import { sha, startProxy } from '@conveyor/chaos'
import { expect, onTestFinished, test, vi } from 'vitest'
import { bury, dlq, letterIds, returned, start } from './letters.ts'
import { bench, ownRedis, until, useRedis } from './redis.ts'

vi.setConfig({ testTimeout: 300_000 })

const LETTERS = 400
const EACH = Array.from({ length: LETTERS }, (_, i) => i + 1)

const on = useRedis()

async function buried() {
  const b = await bench(on)
  const ids = await bury(b, await b.open('c1'), LETTERS)
  const inOrder = async () => (await returned(b)).sort((x, y) => x - y)
  return { b, ids, inOrder }
}

test('two replays of everything at once: each message returns once', async () => {
  const { b, inOrder } = await buried()
  const both = await Promise.all([1, 2].map(() => dlq(b, ['replay', '--all', '--yes', '--json'])))
  expect(both.map(({ code }) => code)).toEqual([0, 0])
  const reports = both.map(
    ({ stdout }) => JSON.parse(stdout) as { done: number; gone: number; chosen: number },
  )
  expect(reports.reduce((sum, { done }) => sum + done, 0)).toBe(LETTERS)
  for (const { done, gone, chosen } of reports) expect(done + gone).toBe(chosen)
  expect(await inOrder()).toEqual(EACH)
  expect(await letterIds(b)).toEqual([])
  expect(await b.count('replayed')).toBe(LETTERS)
})

test('a replay that is killed at random moments and run again: each message returns once', async () => {
  const { b, inOrder } = await buried()
  let kills = 0
  for (;;) {
    const before = (await returned(b)).length
    const { child, ended } = start(b, ['replay', '--all', '--yes'])
    const target = before + 1 + Math.floor(Math.random() * 60)
    const watching = (async () => {
      while (child.exitCode === null && child.signalCode === null) {
        if (LETTERS - (await b.redis.xlen(b.keys.dead)) >= target) child.kill('SIGKILL')
      }
    })()
    const { code, signal } = await ended
    await watching
    if (signal === 'SIGKILL') kills++
    else expect(code).toBe(0)
    const back = await inOrder()
    expect(new Set(back).size).toBe(back.length)
    expect(back.length + (await letterIds(b)).length, 'none is lost').toBe(LETTERS)
    if (signal === null) break
  }
  expect(kills).toBeGreaterThan(2)
  expect(await inOrder()).toEqual(EACH)
  expect(await letterIds(b)).toEqual([])
})

test('a reply that is lost: the message returned once, it is said how far it came, and the next run goes on', async () => {
  const { b, ids, inOrder } = await buried()
  const { port } = on.server
  const proxy = await startProxy({ target: { host: '127.0.0.1', port } })
  onTestFinished(() => proxy.close())
  await b.redis.script('LOAD', await readFile(new URL('../stream/lua/replay.lua', import.meta.url), 'utf8'))
  const lost = proxy.dropNextReply(
    request => request.includes(sha('replay')) && request.includes(ids[99] as string),
  )
  const { code, stdout, stderr } = await dlq(b, ['replay', '--all', '--yes'], proxy.url)
  await lost
  expect({ code, stdout }).toEqual({ code: 3, stdout: `replayed 99 of ${LETTERS} dead letters\n` })
  expect(stderr.trim().split('\n').at(-1)).toMatch(/^conveyor: /)
  expect(await returned(b)).toEqual(EACH.slice(0, 100))
  expect(await dlq(b, ['replay', ids[99] as string, '--yes'], proxy.url)).toMatchObject({ code: 1 })
  expect((await dlq(b, ['replay', '--all', '--yes'], proxy.url)).stdout).toBe('replayed 300 dead letters\n')
  expect(await inOrder()).toEqual(EACH)
})

test('purge, killed and run again, and twice at once', async () => {
  const { b } = await buried()
  const { child, ended } = start(b, ['purge', '--all', '--yes'])
  while ((await b.redis.xlen(b.keys.dead)) > LETTERS - 20 && child.exitCode === null);
  child.kill('SIGKILL')
  await ended
  const left = (await letterIds(b)).length
  const both = await Promise.all([1, 2].map(() => dlq(b, ['purge', '--all', '--yes', '--json'])))
  expect(both.reduce((sum, { stdout }) => sum + JSON.parse(stdout).done, 0)).toBe(left)
  expect(await b.count('purged')).toBe(LETTERS)
  expect(await b.count('letters:handler failed')).toBe(0)
})

test('watch: replays what comes, leaves quarantine alone, and survives Redis being away', async () => {
  const own = await ownRedis()
  const b = await bench(own)
  const session = await b.open('c1')
  const [quarantined] = await bury(b, session, 1, { replays: 3 })
  const { child, ended } = start(b, ['watch', '--interval', '0.1', '--reason', 'handler failed'])
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => (said += chunk))
  await until(() => said.includes('1 dead letter in quarantine'), 'the first round')

  await bury(b, session, 5)
  await bury(b, session, 1, { reason: 'rejected' })
  await until(async () => (await returned(b)).length === 5, 'new letters are replayed')
  expect(await returned(b)).toEqual([2, 3, 4, 5, 6])
  await until(() => said.includes('replayed 5 dead letters'), 'it says so')

  const scans = async () => /cmdstat_xrange:calls=(\d+)/.exec(await own.redis.info('commandstats'))?.[1]
  const rounds = async () =>
    Number(/cmdstat_xrevrange:calls=(\d+)/.exec(await own.redis.info('commandstats'))?.[1])
  const [before, from] = [await scans(), await rounds()]
  await until(async () => (await rounds()) > from + 3, 'three rounds')
  expect(await scans(), 'letters are not read again').toBe(before)

  await own.server.kill()
  await until(() => said.includes('Redis is away'), 'it notices')
  await own.server.run()
  await until(() => said.includes('Redis is back'), 'it comes back')
  await bury(b, await b.open('c2'), 3)
  await until(async () => (await returned(b)).length === 8, 'and goes on')
  child.kill('SIGINT')
  const { code, stderr, stdout } = await ended
  expect(code).toBe(0)
  expect(stderr).toContain('replayed 8 dead letters in all')
  expect(stdout.match(/in quarantine/g)).toHaveLength(1)
  expect((await letterIds(b))[0]).toBe(quarantined)
  expect(await letterIds(b)).toHaveLength(2)
})

test('watch --min-age: a letter is replayed once it is old enough, and until then it is not passed over', async () => {
  const b = await bench(on)
  const session = await b.open('c1')
  const { child, ended } = start(b, ['watch', '--interval', '0.1', '--min-age', '700ms'])
  const began = Date.now()
  await bury(b, session, 3)
  await until(async () => (await returned(b)).length === 3, 'all are replayed')
  expect(Date.now() - began).toBeGreaterThanOrEqual(700)
  child.kill('SIGTERM')
  expect((await ended).code).toBe(0)
})
