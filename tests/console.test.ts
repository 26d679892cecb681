import { appendFile, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pipeline } from '@conveyor/chaos'
import { compareIds } from '@conveyor/stream'
import { expect, onTestFinished, test } from 'vitest'
import type {
  AuditPage,
  Doctor,
  Done,
  LetterPage,
  Message,
  PendingPage,
  SearchResult,
  Started,
} from '../console/contract.ts'
import { startConsole } from './browser.ts'
import { ConsoleClient, Listener } from './console-client.ts'
import { until } from './redis.ts'
import { startPipeline } from './start-pipeline.ts'

async function start(
  env: NodeJS.ProcessEnv = {},
  more: NodeJS.ProcessEnv = {},
): Promise<{ pipeline: Pipeline; client: ConsoleClient }> {
  const pipeline = await startPipeline({ HISTORY: 'all', RETRY_DELAY_MS: '300', ...env })
  onTestFinished(async () => {
    await Promise.all(pipeline.services.map(service => service.kill()))
  })
  const { url } = await startConsole(pipeline.dir, {
    REDIS_URL: pipeline.redis.url,
    OUTPUT_DIR: pipeline.outputDir,
    ...more,
  })
  return { pipeline, client: new ConsoleClient(url) }
}

const lineOf = (lines: string[], n: number) => lines.findIndex(line => line.includes(` package ${n} `))

test('the verdict is green under load and faults, and red with the package once a line is taken out, doubled or made up', async () => {
  const { pipeline, client } = await start({ HANDLER: 'demo', MIX: 'success=85,retry=13,fail=2', SEED: '7' })
  const consumers = pipeline.consumers(['c1', 'c2', 'c3'])
  pipeline.producer(6000, { RATE: '1500' })
  const listener = new Listener(client.url)
  onTestFinished(() => listener.close())
  await pipeline.committed(1500)
  await consumers[0]?.kill()
  pipeline.consumer('c1')
  await pipeline.committed(3000)
  await pipeline.crashRedis()
  await pipeline.drained(6000)
  const done = await client.snapshot(
    ({ verdict }) => verdict.judgedTo === 6000 && verdict.waiting === 0,
    'all 6,000 packages are judged',
  )
  expect(done.verdict).toMatchObject({ state: 'exact', by: 'files', waiting: 0, gaps: 0, duplicates: 0 })
  expect(done.verdict.text).toBe(
    `exactly once: produced 6,000 = committed ${done.verdict.committed.toLocaleString('en-US')} + waiting 0 + dead ${done.verdict.dead}, gaps 0, duplicates 0`,
  )
  expect(done.verdict.committed + done.verdict.dead).toBe(6000)
  const states = new Set(listener.of('snapshot').map(({ verdict }) => verdict.state))
  expect([...states].filter(state => state === 'violated')).toEqual([])
  expect(listener.of('snapshot').length).toBeGreaterThan(3)
  listener.close()
  for (const one of pipeline.services) await one.kill()

  const folder = await pipeline.runFolder()
  const path = join(folder, 'consumer_c2.txt')
  const whole = await readFile(path, 'utf8')
  const lines = whole.trimEnd().split('\n')
  const number = Number(/package (\d+)/.exec(lines[100] ?? '')?.[1])
  const rewrite = async (text: string) => {
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  }
  const judged = (kind: string | null, what: string) =>
    client.snapshot(({ verdict }) => (verdict.offender?.kind ?? null) === kind, what)

  await rewrite(`${lines.toSpliced(lineOf(lines, number), 1).join('\n')}\n`)
  const gap = (await judged('gap', 'a line was taken out')).verdict
  expect(gap).toMatchObject({ state: 'violated', gaps: 1, offender: { package: number } })
  expect(gap.text).toMatch(/^not exactly once: .* \+ missing 1, gaps 1, duplicates 0$/)
  await rewrite(whole)
  await judged(null, 'it was put back')

  await appendFile(path, `${lines[100]}\n`)
  expect((await judged('duplicate', 'a line was doubled')).verdict).toMatchObject({
    state: 'violated',
    duplicates: 1,
    gaps: 0,
    offender: { package: number },
  })
  await rewrite(`${whole}Consumer c2 processed package 9000 (timestamp: 1)\n`)
  expect((await judged('unexpected', 'a package that was never given out')).verdict).toMatchObject({
    unexpected: 1,
    offender: { package: 9000 },
  })
  await rewrite(`${whole}nonsense\n`)
  expect((await judged('unreadable', 'a line that is none')).verdict).toMatchObject({ unreadable: 1 })
  await rewrite(whole)
  await judged(null, 'all is well again')
})

test('a package that is lost in Redis is named; a new run begins anew', async () => {
  const { pipeline, client } = await start()
  const producer = pipeline.producer(50)
  const one = pipeline.consumer('c1')
  await pipeline.drained(50)
  await producer.stop()
  await one.kill()
  const next = pipeline.producer(60)
  await pipeline.when(({ sequence }) => sequence === 60, '60 are given out')
  await next.stop()
  const { client: redis, keys } = pipeline
  const entries = await redis.xrevrange(keys.stream, '+', '-', 'COUNT', 10)
  await redis.xdel(keys.stream, entries[6]?.[0] as string) // package 54, behind everybody's back
  pipeline.consumer('c1')
  const { verdict } = await client.snapshot(({ verdict }) => verdict.state === 'violated', 'the gap is seen')
  expect(verdict).toMatchObject({ gaps: 1, offender: { kind: 'gap', package: 54 } })
})

test('consumers are paused, resumed and drained, and it is on record', async () => {
  const { pipeline, client } = await start()
  const [c1, c2] = pipeline.consumers(['c1', 'c2'])
  pipeline.producer(0, { RATE: '300' })
  await pipeline.committed(100)
  const paused = await client.post<Done>('/api/consumers/c1/pause')
  expect(paused.body).toEqual({ text: 'consumer c1 is to pause', command: 'conveyor consumers pause c1' })
  const consumer = (id: string) =>
    client.snapshot(() => true, 'one').then(({ seen }) => seen?.consumers.find(one => one.id === id))
  await until(async () => (await consumer('c1'))?.control === 'paused', 'c1 is said to be paused')
  await until(async () => (await consumer('c1'))?.perSecond === 0, 'c1 does nothing', 30_000)
  expect((await consumer('c2'))?.perSecond).toBeGreaterThan(200)
  await client.post('/api/consumers/c1/resume')
  await until(async () => ((await consumer('c1'))?.perSecond ?? 0) > 10, 'c1 goes on', 30_000)
  await client.post('/api/consumers/c2/drain')
  expect(await c2?.ended()).toEqual({ code: 0, signal: null })
  expect(c1?.alive).toBe(true)
  expect((await client.post('/api/consumers/nobody/drain')).status).toBe(409)
  const { body } = await client.get<AuditPage>('/api/audit')
  expect(body.entries.map(({ action, what }) => `${action} ${what}`)).toEqual([
    'drain c2',
    'resume c1',
    'pause c1',
  ])
  expect(body.entries[0]?.who).toMatch(/^console .*127\.0\.0\.1$/)
})

test('what waits is retried now; dead letters are listed, edited, replayed and purged; packages are found', async () => {
  const { pipeline, client } = await start({
    HANDLER: 'demo',
    MIX: 'success=50,retry=25,fail=25',
    SEED: '3',
    MAX_ATTEMPTS: '2',
    RETRY_DELAY_MS: '3600000',
    RETRY_MAX_DELAY_MS: '3600000',
  })
  pipeline.consumers(['c1'])
  pipeline.producer(200)
  await pipeline.when(
    ({ sequence, lag, pending }) => sequence === 200 && lag + pending === 0,
    'all are delivered',
  )
  const page = async () => (await client.get<PendingPage>('/api/pending')).body
  const { waiting, totalWaiting } = await page()
  expect(waiting.length).toBe(totalWaiting)
  expect(totalWaiting).toBeGreaterThan(20)
  const [first] = waiting
  expect(first).toMatchObject({ attempt: 1, consumer: 'c1', reason: 'handler failed' })
  const retried = await client.post<Done>('/api/retry', { package: first?.package })
  expect(retried.body.command).toBe(`conveyor retry ${first?.package}`)
  await pipeline.when(state => state.waiting === totalWaiting - 1, 'it does not wait any more')
  expect((await client.post('/api/retry', { package: first?.package })).status).toBe(409)
  for (const { package: number } of waiting.slice(1)) await client.post('/api/retry', { package: number })
  await pipeline.when(({ dead, waiting }) => dead > 20 && waiting === 0, 'those that fail are dead')

  const letters = async (query = '') => (await client.get<LetterPage>(`/api/letters?${query}`)).body
  const all = await letters()
  expect(all).toMatchObject({ complete: true, quarantined: 0, replayable: all.matched })
  const ids = all.letters.map(({ id }) => id)
  expect(ids).toEqual(ids.toSorted(compareIds).toReversed())
  const short = await letters('limit=2')
  expect((await letters(`limit=2&before=${short.next}`)).letters).toEqual(all.letters.slice(2, 4))
  const [letter] = all.letters
  const detail = await client.get(`/api/letters/${letter?.id}`)
  expect(detail.body).toMatchObject({
    package: letter?.package,
    failures: [{ consumer: 'c1' }, { consumer: 'c1' }],
  })

  const message = await client.get<Message>(`/api/messages/${letter?.package}`)
  expect(message.body).toMatchObject({ state: 'dead', place: { at: 'dead', letter: letter?.id } })
  expect(message.body.history.map(({ event }) => event)).toEqual(
    'appended delivered failed returned delivered dead'.split(' '),
  )
  const edited = await client.post<Done>(`/api/letters/${letter?.id}/edit`, { payload: { type: 'success' } })
  expect(edited.status).toBe(200)
  await until(
    async () => (await client.get<Message>(`/api/messages/${letter?.package}`)).body.state === 'committed',
    'it is committed',
  )

  const filter = { packages: '1-100' }
  const matching = await letters('packages=1-100')
  const wrong = { filter, count: matching.matched + 1, through: matching.through }
  expect((await client.post('/api/letters/replay', wrong)).status).toBe(409)
  const started = await client.post<Started>('/api/letters/replay', {
    ...wrong,
    count: matching.matched,
    rate: 1000,
  })
  expect(started).toMatchObject({
    status: 202,
    body: {
      job: { total: matching.matched },
      command: 'conveyor dlq replay --all --packages 1-100 --rate 1000',
    },
  })
  await client.snapshot(
    ({ jobs }) => jobs[0]?.state === 'done' && jobs[0].done === matching.matched,
    'all are replayed',
  )

  const [kept] = (await letters('packages=101-200')).letters
  await client.post('/api/letters/purge', { ids: [kept?.id] })
  await until(
    async () => (await client.get<Message>(`/api/messages/${kept?.package}`)).body.state === 'purged',
    'it is purged',
  )
  const found = await client.get<SearchResult>(`/api/search?packages=${kept?.package}`)
  expect(found.body.hits).toMatchObject([{ state: 'purged', package: kept?.package }])
  const dead = await client.get<SearchResult>('/api/search?text=ALWAYS%20FAILS&state=dead')
  expect(dead.body.hits.length).toBeGreaterThan(0)
  const lines = await client.get<SearchResult>('/api/search?consumer=c1&state=committed&packages=1-50')
  expect(lines.body.hits.length).toBeGreaterThan(10)

  const audit = (await client.get<AuditPage>('/api/audit?limit=3')).body.entries
  expect(audit.map(({ action, count }) => [action, count])).toEqual([
    ['purge', 1],
    ['replay', matching.matched],
    ['edit', 1],
  ])
  const doctor = await client.get<Doctor>('/api/doctor')
  expect(doctor.body.checks.map(({ id }) => id)).toContain('dead letters')
  const { verdict } = await client.snapshot(({ verdict }) => verdict.judgedTo === 200, 'all is judged')
  expect(verdict).toMatchObject({ state: 'exact', purged: 1 })
})

test('nobody looks: nothing is done; Redis goes and comes', async () => {
  const { pipeline, client } = await start()
  pipeline.consumers(['c1'])
  pipeline.producer(0, { RATE: '100' })
  await pipeline.committed(50)
  const listener = new Listener(client.url)
  onTestFinished(() => listener.close())
  const names = async () =>
    String(await pipeline.client.call('CLIENT', 'LIST')).match(/name=conveyor-console\S*/g) ?? []
  await until(() => listener.of('snapshot').length >= 2, 'two snapshots', 30_000)
  expect((await names()).sort()).toEqual(['name=conveyor-console', 'name=conveyor-console-judge'])
  const { heard } = listener
  expect(heard.slice(0, 2).map(({ event }) => event)).toEqual(['snapshot', 'series'])
  await until(() => listener.of('snapshot').length >= 4, 'four snapshots', 30_000)
  const between = heard.slice(heard.findIndex(({ event }) => event === 'delta'))
  expect(between.filter(({ event }) => event === 'delta').length).toBeGreaterThanOrEqual(3)
  await pipeline.crashRedis()
  await until(() => listener.of('snapshot').at(-1)?.status === 'ok', 'it is seen again', 30_000)
  listener.close()
  await until(async () => (await names()).length === 0, 'its connections are closed', 30_000)
  const again = new Listener(client.url)
  onTestFinished(() => again.close())
  await until(() => again.of('snapshot').length > 0, 'and it is there for the next', 30_000)
  expect(again.of('snapshot')[0]?.status).toBe('ok')
})

test('without files, it says so and judges by counts', async () => {
  const { pipeline, client } = await start({ OUTPUT: 'none' })
  pipeline.consumers(['c1'])
  pipeline.producer(100)
  await pipeline.when(({ done, lag, pending }) => done === 100 && lag + pending === 0, 'all are done')
  const { verdict } = await client.snapshot(({ verdict }) => verdict.committed === 100, 'judged')
  expect(verdict).toMatchObject({ state: 'exact', by: 'redis', produced: 100 })
  expect(verdict.note).toContain('no output files')
})
