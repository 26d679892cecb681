import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { consume, type Handler, inspect, type PackageReport, Reject, RetryLater } from '@conveyor/stream'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, until, useRedis } from '../../tests/redis.ts'

const on = useRedis()
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** `conveyor message …` as a process. */
async function message(b: Bench, ...args: string[]): Promise<Ran> {
  const env = {
    ...process.env,
    REDIS_URL: b.url,
    STREAM: b.keys.stream,
    GROUP: b.keys.group,
    OUTPUT_DIR: b.directory,
    NO_COLOR: '1',
  }
  return promisify(execFile)(process.execPath, [main, 'message', ...args], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )
}

async function report(b: Bench, which: number | string): Promise<PackageReport> {
  return JSON.parse((await message(b, String(which), '--json')).stdout)
}

function consuming(b: Bench, handler: Handler) {
  const run = consume({ ...b.options('a', { retryDelay: 10 }), handler }).subscribe()
  onTestFinished(() => run.unsubscribe())
  return run
}

test('wherever a package is, it is found', async () => {
  const b = await bench(on)
  const entries = await b.fill(5)
  const run = consuming(b, ({ package: n, attempt }) => {
    if (n === 1 && attempt === 1) throw new Error('once\u001b[2J')
    if (n === 2) throw new RetryLater(60_000)
    if (n === 3) throw new Reject('never')
  })
  await until(async () => (await inspect(b.redis, b.keys)).done === 3, 'all that can be done is')
  await until(async () => (await inspect(b.redis, b.keys)).unflushed === 0, 'and written')
  run.unsubscribe()
  await b.fill(2)
  await b.receive('somebody', 1)

  const one = await report(b, 1)
  expect(one).toMatchObject({ package: 1, state: 'committed', line: { number: 3 } })
  expect(one.line?.text).toBe('Consumer a processed package 1 (timestamp: 1753553379)')
  expect(one.history.map(({ event }) => event)).toEqual([
    ...['appended', 'delivered', 'failed', 'returned'],
    ...['delivered', 'committed'],
  ])
  expect(await report(b, 4)).toMatchObject({ state: 'committed', line: { number: 1 }, history: [] })
  expect(await report(b, 2)).toMatchObject({ state: 'waiting', place: { entry: entries[1] } })
  expect(await report(b, 3)).toMatchObject({ state: 'dead' })
  expect(await report(b, 6)).toMatchObject({
    state: 'pending',
    place: { consumer: 'somebody', deliveries: 1 },
  })
  expect(await report(b, 7)).toMatchObject({ state: 'undelivered' })
  expect(await report(b, entries[3] as string)).toMatchObject({ package: 4, state: 'committed' })

  const shown = await message(b, '1')
  expect(shown.code).toBe(0)
  expect(shown.stdout).toContain('consumer_a.txt line 3')
  expect(shown.stdout).toContain('handler failed: Error: once\\u{1b}[2J (again in ')
  expect(shown.stdout).not.toContain('\u001b')
  const waiting = await message(b, '2')
  expect(waiting.stdout).toMatch(/waits for another attempt, due in \d+\.\d s/)
})

test('what was never given out, cannot be named, or cannot be asked for is said in one line', async () => {
  const b = await bench(on)
  await b.fill(2)
  const beyond = await message(b, '3')
  expect([beyond.code, beyond.stdout]).toEqual([
    1,
    expect.stringMatching(/^package 3: not given out; .* is 2\n$/),
  ])
  const unknown = await message(b, '5-5')
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringMatching(/^entry 5-5: .*\n$/)])
  for (const wrong of ['0', 'x', '1.5', '-3']) expect((await message(b, wrong)).code).toBe(2)
  const away = await message(b, '1', '--redis-url', 'redis://127.0.0.1:1')
  expect([away.code, away.stderr]).toEqual([3, expect.stringMatching(/^conveyor: Redis at 127.0.0.1:1.*\n$/)])
})
