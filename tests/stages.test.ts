import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ServiceProcess, until } from '@conveyor/chaos'
import { inspect, keysOf } from '@conveyor/stream'
import { validate } from '@conveyor/validator'
import { expect, test } from 'vitest'
import { QUICK_DEATH, startPipeline, startWire } from './start-pipeline.ts'

/** Of package n come n % 3 messages; every eleventh never succeeds, every fifth fails at first. */
const HANDLER = `export default ({ package: n }, { attempt }) => {
  if (n % 11 === 0) throw new Error('never')
  if (n % 5 === 0 && attempt === 1) throw new Error('at first')
  return Array.from({ length: n % 3 }, (_, m) => ({ n, m }))
}`

const NEXT = keysOf('queue_b', 'writers')

test('two stages, and every message once, whatever is killed between them', async () => {
  const pipeline = await startPipeline({
    ...QUICK_DEATH,
    TRIM_ABOVE: '10000000',
    RETRY_DELAY_MS: '20',
    MAX_ATTEMPTS: '3',
  })
  const handler = join(pipeline.dir, 'handler.mjs')
  await writeFile(handler, HANDLER)
  const wire = await startWire(pipeline)
  const stage = (id: string, env: NodeJS.ProcessEnv = {}) =>
    pipeline.consumer(id, {
      HANDLER: handler,
      OUTPUT: 'none',
      FORWARD_TO: NEXT.stream,
      FORWARD_GROUPS: NEXT.group,
      MAX_DELIVERIES: '1000',
      ...env,
    })
  const writer = (id: string) => pipeline.consumer(id, { STREAM: NEXT.stream, GROUP: NEXT.group })
  let stages = [stage('s1', { REDIS_URL: wire.url }), stage('s2'), stage('s3')]
  const writers = [writer('w1'), writer('w2')]
  pipeline.producer(0, { RATE: '2000' })
  const goOn = async () => {
    const { done } = await pipeline.inspect()
    await pipeline.committed(done + 1000)
  }
  await goOn()
  for (let round = 0; round < 4; round++) {
    await (stages[1 + (round % 2)] as ServiceProcess).kill()
    stages = stages.map((one, n) => (one.alive ? one : stage(`s${n + 1}`)))
    await goOn()
    await wire.dropNextReply(request => request.toLowerCase().includes(NEXT.stream))
    await goOn()
    await (writers[round % 2] as ServiceProcess).kill()
    writers[round % 2] = writer(`w${1 + (round % 2)}`)
    await pipeline.crashRedis()
    await goOn()
  }
  const last = await pipeline.endProducing()
  await pipeline.drained(last)
  const { sequence } = await inspect(pipeline.client, NEXT)
  await until(async () => (await inspect(pipeline.client, NEXT)).drained, 'the writers are done', 60_000)
  await pipeline.stop()

  const letters = (await pipeline.deadLetters()).map(letter => letter.package as number)
  expect(letters.sort((a, b) => a - b)).toEqual(upTo(last).filter(n => n % 11 === 0))
  const entries = await pipeline.client.xrange(NEXT.stream, '-', '+')
  const found = entries.map(([, fields]) => JSON.parse(fields[1] as string).payload)
  expect(found.map(({ package: number }) => number)).toEqual(upTo(sequence))
  for (const { from, body } of found) expect(from).toEqual({ stream: 'number_stream', package: body.n })
  const names = found.map(({ body }) => `${body.n} ${body.m}`)
  const expected = upTo(last)
    .filter(n => n % 11 !== 0)
    .flatMap(n => Array.from({ length: n % 3 }, (_, m) => `${n} ${m}`))
  expect(names.sort()).toEqual(expected.sort())
  const report = await validate({ outputDir: pipeline.outputDir, expect: sequence })
  expect(report.verdict).toBe('ok')
})

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
