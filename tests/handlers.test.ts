import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Pipeline } from '@conveyor/chaos'
import { type DeadLetter, deadLetters } from '@conveyor/stream'
import { expect, onTestFinished, test } from 'vitest'
import { parseMix, payloadOf } from '../producer/mix.ts'
import { QUICK_DEATH, startPipeline } from './start-pipeline.ts'
import { supervise } from './supervise.ts'

const MIX = 'success=60,retry=15,fail=5,order=15,test=5'
const SEED = 3
const DEMO = { HANDLER: 'demo', MIX, SEED: String(SEED), RETRY_DELAY_MS: '20' }

async function letters({ client, keys }: Pipeline): Promise<DeadLetter[]> {
  const found: DeadLetter[] = []
  for await (const letter of deadLetters(client, keys)) found.push(letter)
  return found.sort((a, b) => (a.package ?? 0) - (b.package ?? 0))
}

/** What the mix says of packages 1 to `last`: which end as dead letters, and how often others have to be tried again. */
function expected(last: number): { dead: number[]; retries: number } {
  const mix = parseMix(MIX)
  const dead: number[] = []
  let retries = 0
  for (let n = 1; n <= last; n++) {
    const payload = payloadOf(mix, SEED, n)
    if (payload.type === 'fail' || (payload.type === 'order' && !payload.security_check)) dead.push(n)
    else if (payload.type === 'retry') retries += 2
    else if (payload.type === 'order') retries += payload.attempts - 1
  }
  return { dead, retries: retries + 4 * dead.length }
}

test('a mix: what must fail is a dead letter after five attempts, all the rest is in the files once', async () => {
  const pipeline = await startPipeline(DEMO)
  pipeline.consumers(['c1', 'c2', 'c3'])
  pipeline.producer(2000)
  const { dead, retries } = expected(2000)
  expect(dead.length).toBeGreaterThan(100)
  const state = await pipeline.expectExactlyOnce(2000, dead)
  expect(state).toMatchObject({ dead: dead.length, retried: retries, done: 2000 - dead.length })
  const found = await letters(pipeline)
  expect(found.map(letter => letter.package)).toEqual(dead)
  for (const letter of found) {
    expect(letter).toMatchObject({ reason: 'handler failed', attempts: 5, replays: 0 })
    expect(letter.failures.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5])
  }
})

test('the same while consumers and the producer are killed and started again', async () => {
  const pipeline = await startPipeline({ ...DEMO, ...QUICK_DEATH, RETRY_DELAY_MS: '200' })
  const consumers = ['c1', 'c2', 'c3'].map(id => supervise(pipeline, id))
  const first = pipeline.producer(1500, { RATE: '500' })
  for (const [index, consumer] of consumers.entries()) {
    await pipeline.committed(200 * (index + 1))
    await consumer.current.kill()
  }
  await first.kill()
  pipeline.producer(1500, { RATE: '500' })
  const { dead } = expected(1500)
  await pipeline.expectExactlyOnce(1500, dead)
  const found = await letters(pipeline)
  expect(found.map(letter => letter.package)).toEqual(dead)
  expect(new Set(found.map(({ attempts }) => attempts))).toEqual(new Set([5]))
})

/** A service as the example calls it. Package 2 has to wait, 3 is refused, 4 fails and 5 hangs at first. */
async function startTarget() {
  const calls: { package: number; key: string; body: unknown }[] = []
  const server = createServer(async (request, response) => {
    const number = Number(request.url?.split('/').at(-1))
    let body = ''
    for await (const chunk of request) body += chunk
    const before = calls.filter(call => call.package === number).length
    calls.push({ package: number, key: String(request.headers['idempotency-key']), body: JSON.parse(body) })
    if (number === 2 && before < 1) response.writeHead(429, { 'retry-after': '1' })
    else if (number === 3) response.writeHead(422)
    else if (number === 4 && before < 2) response.writeHead(500)
    else if (number === 5 && before < 1) await Promise.race([once(response, 'close'), sleep(20_000)])
    else response.writeHead(204)
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { calls, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

test('the example that users copy does what it says', async () => {
  const { calls, url } = await startTarget()
  const pipeline = await startPipeline({
    HANDLER: fileURLToPath(new URL('../examples/handler.mjs', import.meta.url)),
    TARGET_URL: url,
    HANDLER_TIMEOUT_MS: '2000',
    RETRY_DELAY_MS: '20',
  })
  const [consumer] = pipeline.consumers(['c1'])
  pipeline.producer(50)
  await pipeline.expectExactlyOnce(50, [3])
  expect(await letters(pipeline)).toMatchObject([
    { package: 3, reason: 'rejected', detail: 'refused with 422', attempts: 1 },
  ])
  const of = (number: number) => calls.filter(call => call.package === number)
  expect([1, 2, 3, 4, 5].map(number => of(number).length)).toEqual([1, 2, 1, 3, 2])
  for (const number of [2, 4, 5]) expect(new Set(of(number).map(({ key }) => key)).size).toBe(1)
  expect(new Set(calls.map(({ key }) => key)).size).toBe(50)
  expect(of(7)[0]?.body).toEqual({ package: 7 })
  const retried = consumer
    ?.lines('to be tried again')
    .map(({ package: n, delay, reason }) => [n, delay, reason])
  expect(retried).toContainEqual([2, 1000, 'handler failed'])
  expect(retried).toContainEqual([5, expect.any(Number), 'handler timeout'])
  expect(
    consumer
      ?.lines('succeeded in the end')
      .map(line => [line.package, line.attempt])
      .sort(),
  ).toEqual([
    [2, 2],
    [4, 3],
    [5, 2],
  ])
})
