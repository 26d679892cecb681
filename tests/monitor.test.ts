import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ServiceProcess, until } from '@conveyor/chaos'
import { expect, onTestFinished, test } from 'vitest'
import type { Report, Seen } from '../cli/monitor/report.ts'
import { startPipeline } from './start-pipeline.ts'

const main = fileURLToPath(new URL('../cli/dist/main.js', import.meta.url))
const PATIENCE = 60_000

function conveyor(args: string, redisUrl: string, cwd: string): ServiceProcess {
  const env = { ...process.env, REDIS_URL: redisUrl }
  const command = new ServiceProcess('conveyor', main, args.split(' '), { env, cwd })
  onTestFinished(async () => {
    await command.kill()
  })
  return command
}

/** The reports that a command has printed, oldest first. */
const reports = (command: ServiceProcess) => command.log as unknown as Report[]

const shows = (command: ServiceProcess, what: string, condition: (report: Report) => boolean) =>
  until(
    () => reports(command).findLast(condition),
    what,
    PATIENCE,
    () => command.lastWords(5),
  )

const state = (report: Report, id: string) =>
  (report as Partial<Seen>).consumers?.find(one => one.id === id)?.state

test('a run as the monitor sees it: begun, flowing, a dead consumer, Redis away and back, an interrupt', async () => {
  const pipeline = await startPipeline()
  const monitor = conveyor('monitor --json --interval 0.2', pipeline.redis.url, pipeline.dir)
  await shows(monitor, 'that there is no stream', ({ status }) => status === 'no-stream')

  pipeline.producer(0, { RATE: '300' })
  const consumer = pipeline.consumer('a')
  await shows(monitor, 'a live consumer and its rate', report => {
    const rates = [(report as Seen).in, (report as Seen).consumers?.[0]?.perSecond]
    return state(report, 'a') === 'live' && rates.every(rate => (rate ?? 0) > 100)
  })
  const whole = await shows(monitor, 'a balance', report => (report as Seen).balance?.unaccounted != null)
  expect((whole as Seen).balance.unaccounted).toBe(0)

  await consumer.kill() // nobody is left to take over
  await shows(monitor, 'that it is silent, then dead', report => state(report, 'a') === 'dead')
  expect(reports(monitor).some(report => state(report, 'a') === 'silent')).toBe(true)
  await shows(monitor, 'a lag that grows old', report => (report as Seen).lag?.seconds > 1)

  const before = reports(monitor).length
  pipeline.pauseRedis()
  await shows(monitor, 'that Redis is away', ({ status }) => status === 'unreachable')
  pipeline.resumeRedis()
  const since = reports(monitor).length
  expect(since).toBeGreaterThan(before)
  await until(
    () =>
      reports(monitor)
        .slice(since)
        .some(({ status }) => status === 'ok'),
    'the monitor goes on',
    PATIENCE,
  )
  pipeline.consumer('b')
  await shows(monitor, 'who took over', report => state(report, 'b') === 'live')
  monitor.send('SIGINT')
  expect(await monitor.ended(PATIENCE)).toEqual({ code: 0, signal: null })
  await pipeline.stop()
})

test('--once: 0 with a report, 1 without a stream, 3 without Redis', async () => {
  const pipeline = await startPipeline()
  const look = async (args: string, url = pipeline.redis.url) => {
    const command = conveyor(`monitor --once${args}`, url, pipeline.dir)
    const { code } = await command.ended(PATIENCE)
    return { code, output: command.output }
  }
  const none = await look('')
  expect(none).toMatchObject({ code: 1, output: expect.stringContaining('no stream number_stream') })
  expect(none.output.trim().split('\n')).toHaveLength(1)
  const away = await look(' --json', 'redis://127.0.0.1:1')
  expect(away.code).toBe(3)
  expect(JSON.parse(away.output)).toMatchObject({ status: 'unreachable', group: 'consumer_group' })

  pipeline.producer(100)
  pipeline.consumer('a')
  await pipeline.drained(100)
  const seen = await look(' --json')
  expect(seen.code).toBe(0)
  expect(JSON.parse(seen.output)).toMatchObject({
    status: 'ok',
    balance: { givenOut: 100, committed: 100, unaccounted: 0 },
    consumers: [{ id: 'a', state: 'live', processed: 100 }],
  })
  const text = await look('')
  expect(text).toMatchObject({ code: 0, output: expect.stringMatching(/a +live +0/) })
  expect(text.output).not.toContain('\u001b')
  expect((await look(' --group nobody')).code).toBe(1)
  await pipeline.stop()
})

test('a reader that goes away ends it', async () => {
  const pipeline = await startPipeline()
  const env = { ...process.env, REDIS_URL: pipeline.redis.url }
  for (const [args, code] of [
    ['monitor --json --interval 0.2', 0],
    ['monitor --once --json', 1],
  ] as const) {
    const command = spawn(process.execPath, [main, ...args.split(' ')], {
      env,
      cwd: pipeline.dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => {
      command.kill('SIGKILL')
    })
    let complaints = ''
    command.stderr.on('data', text => {
      complaints += text
    })
    command.stdout.destroy()
    expect(await once(command, 'exit')).toEqual([code, null])
    expect(complaints).toBe('')
  }
})
