import { setTimeout as sleep } from 'node:timers/promises'
import { FAILING_HANDLER, type Pipeline, type ServiceProcess, sha, until } from '@conveyor/chaos'
import { expect, test } from 'vitest'
import { startPipeline, startWire } from './start-pipeline.ts'

const KINDS = [
  ...['c1', 'c2'].flatMap(id => ['commit', 'read', 'output'].map(role => `conveyor-${id}-${role}`)),
  'conveyor-append',
  'conveyor-monitor',
]

/** Has Redis close the connection of this name, as soon as there is one. */
async function killConnection({ client }: Pipeline, name: string): Promise<void> {
  await until(
    async () => {
      const list = (await client.client('LIST')) as string
      const id = new RegExp(`^id=(\\d+) .* name=${name} `, 'm').exec(list)?.[1]
      return id !== undefined && (await client.client('KILL', 'ID', id)) === 1
    },
    `a connection ${name}`,
    60_000,
  )
}

test('each kind of connection killed by Redis, again and again under load', async () => {
  const pipeline = await startPipeline()
  const consumers = pipeline.consumers(['c1', 'c2'])
  pipeline.producer(0, { RATE: '3000' })
  await pipeline.committed(500)
  for (let round = 0; round < 5; round++) for (const kind of KINDS) await killConnection(pipeline, kind)
  const { done } = await pipeline.inspect()
  await pipeline.committed(done + 1000)
  await pipeline.expectExactlyOnce(await pipeline.endProducing())
  for (const consumer of consumers) expect(consumer.lines('session lost').length).toBeGreaterThanOrEqual(5)
})

type Match = (request: string) => boolean

const isRead: Match = request => /\r\nxreadgroup\r\n/i.test(request)
const isCall = (script: string): Match => {
  const name = sha(script)
  return request => request.includes(name)
}

test('replies to a consumer lost, cut in half, or never to come', async () => {
  const pipeline = await startPipeline({ COMMAND_TIMEOUT_MS: '1000', MAX_DELIVERIES: '1000' })
  const wire = await startWire(pipeline)
  // Alone: what it lost waits for it. Some packages fail at first, so that there are retries too.
  const HANDLER = FAILING_HANDLER
  const consumer = pipeline.consumer('c1', { REDIS_URL: wire.url, HANDLER, RETRY_DELAY_MS: '20' })
  pipeline.producer(0, { RATE: '2000' })
  await pipeline.committed(500)
  const faults: ((match: Match) => Promise<void>)[] = [
    match => wire.dropNextReply(match),
    match => wire.cutMidReply(match),
    match => wire.dropNextReply(match, { thenCut: false }),
  ]
  const loseRead = () => wire.dropNextReply(isRead)
  for (const fault of faults) {
    await inflict(consumer, 'XREADGROUP', () => fault(isRead))
    for (const name of ['commit', 'due', 'output', 'beat'])
      await inflict(consumer, name, () => fault(isCall(name)))
    // What a session asks only at its start, and for entries that it lost: have it start over, with some lost.
    for (const name of ['session', 'handover'])
      await inflict(consumer, name, () => fault(isCall(name)), loseRead)
  }
  const { done } = await pipeline.inspect()
  await pipeline.committed(done + 1000)
  const last = await pipeline.endProducing()
  await pipeline.drained(last)
  const dead = (await pipeline.deadLetters()).map(letter => letter.package as number)
  expect(dead.filter(number => number % 1000)).toEqual([])
  const { retried } = await pipeline.expectExactlyOnce(last, dead)
  expect(retried).toBeGreaterThan(last / 50)
  expect(consumer.lines('session lost').length).toBeGreaterThanOrEqual(faults.length * 5)
})

/**
 * Sets a fault until it happens, since its connection may go for another reason, and until the consumer has
 * noticed. `trigger` brings it about.
 */
async function inflict(
  consumer: ServiceProcess,
  name: string,
  fault: () => Promise<void>,
  trigger?: () => Promise<void>,
): Promise<void> {
  const tooLate = sleep(60_000, 'too late', { ref: false })
  for (;;) {
    const lost = consumer.lines('session lost').length
    let over = false
    const happened = fault().then(
      () => true,
      () => false,
    )
    happened.then(() => {
      over = true
    })
    while (trigger && !over)
      if ((await Promise.race([happened, trigger().catch(() => {}), tooLate])) === 'too late') break
    const result = await Promise.race([happened, tooLate])
    if (result === 'too late') throw new Error(`the consumer has not asked for ${name} within a minute`)
    await consumer.logged('session lost', { count: lost + 1 })
    if (result) return
  }
}
