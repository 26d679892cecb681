import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { lastActions } from '@conveyor/stream'
import { expect, test } from 'vitest'
import { type Bench, bench, settle, useRedis } from '../../tests/redis.ts'

const on = useRedis()
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

/** `conveyor …` as a process: exit code, and what it says. */
async function conveyor(b: Bench, args: string): Promise<[code: number, text: string]> {
  const env = { ...process.env, REDIS_URL: b.url, STREAM: b.keys.stream, GROUP: b.keys.group, NO_COLOR: '1' }
  return promisify(execFile)(process.execPath, [main, ...args.split(' ')], { env }).then(
    ({ stdout }) => [0, stdout],
    ({ code, stdout, stderr }) => [code, stdout + stderr],
  )
}

test('consumers are told, a waiting package is due at once, and both are on record', async () => {
  const b = await bench(on)
  await b.fill(1)
  const session = await b.open('c1')
  const [entry = ''] = await b.receive('c1', 1)
  const failure = { reason: 'handler failed', detail: 'it broke' } as const
  await settle(session, [{ entry, kind: 'retry', package: 1, delay: 3600_000, ...failure }])

  expect(await conveyor(b, 'consumers pause c1')).toEqual([0, 'consumer c1 pauses with its next heartbeat\n'])
  expect(await b.redis.hgetall(b.keys.control)).toEqual({ c1: 'paused' })
  expect((await conveyor(b, 'consumers resume c1'))[0]).toBe(0)
  expect((await conveyor(b, 'consumers drain c1'))[0]).toBe(0)
  expect(await b.redis.hgetall(b.keys.control)).toEqual({ c1: 'draining' })
  expect(await conveyor(b, 'consumers pause c2')).toEqual([
    1,
    expect.stringMatching(/^conveyor: consumer c2 has no session/),
  ])
  expect((await conveyor(b, 'consumers pause a/b'))[0]).toBe(2)

  expect(await conveyor(b, 'retry 1')).toEqual([0, 'package 1 is tried again now\n'])
  expect(Number((await b.redis.zrange(b.keys.retry, '0', '0', 'WITHSCORES'))[1])).toBeLessThanOrEqual(
    Date.now() + 1000,
  )
  expect((await conveyor(b, 'retry 2'))[0]).toBe(1)

  const actions = await lastActions(b.redis, b.keys, 10)
  expect(actions.map(({ command }) => command)).toEqual([
    'conveyor retry 1',
    'conveyor consumers drain c1',
    'conveyor consumers resume c1',
    'conveyor consumers pause c1',
  ])
  expect(actions[0]?.who).toMatch(/^cli \S+/)
})
