import { createLog } from '@conveyor/service'
import { expect, onTestFinished, test } from 'vitest'
import { type Bench, bench, useRedis } from '../tests/redis.ts'
import { consoleApi } from './api.ts'
import { consoleConfig } from './config.ts'
import type { ProblemBody } from './contract.ts'
import { Demo } from './demo.ts'
import { Jobs } from './jobs.ts'
import { Link } from './link.ts'
import { Watch } from './watch.ts'

const on = useRedis()
const log = createLog('test', 'silent')

/** A console without a port. */
function api(b: Bench, env: NodeJS.ProcessEnv = {}, parent?: ConstructorParameters<typeof Demo>[1]) {
  const { keys, url } = b
  const config = consoleConfig({
    REDIS_URL: url,
    STREAM: keys.stream,
    GROUP: keys.group,
    OUTPUT_DIR: b.directory,
    ...env,
  })
  const link = new Link(config.REDIS_URL, 'conveyor-console-ask', 1000)
  onTestFinished(() => link.close())
  const jobs = new Jobs(link, keys, log)
  const demo = new Demo(link, parent)
  const watch = new Watch({
    url,
    keys,
    outputDir: b.directory,
    deathBeats: 5,
    log,
    jobs: () => jobs.list,
    marks: () => demo.marks,
  })
  const app = consoleApi({ config, keys, link, watch, jobs, demo, log })
  const post = (path: string, body: unknown = {}) =>
    app.request(`http://localhost${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'x-conveyor': '1' },
    })
  return { app, post, demo, get: (path: string) => app.request(`http://localhost${path}`) }
}

test('what it is, and what there is when there is nothing', async () => {
  const b = await bench(on)
  const { get } = api(b)
  const json = async (path: string) => (await get(path)).json()
  expect(await json('/api/about')).toMatchObject({
    stream: b.keys.stream,
    target: { stream: b.keys.stream, group: 'workers' },
    changes: 'open',
    demo: false,
    maxReplays: 3,
  })
  expect(await json('/api/snapshot')).toMatchObject({
    status: 'no-stream',
    seen: null,
    verdict: { state: 'unknown' },
  })
  expect(await json('/api/pending')).toEqual({ pending: [], waiting: [], totalPending: 0, totalWaiting: 0 })
  expect(await json('/api/letters')).toMatchObject({ letters: [], matched: 0, complete: true, through: null })
  expect(await json('/api/messages/7')).toMatchObject({ state: 'not given out', sequence: 0 })
  expect(await json('/api/search?text=xy')).toMatchObject({ hits: [], complete: true })
  expect(await json('/api/audit')).toEqual({ entries: [] })
  expect((await get('/api/letters/1-0')).status).toBe(404)
  expect((await get('/api/messages/5-5')).status).toBe(404)
})

test('Redis that is away is said in one line', async () => {
  const b = await bench(on)
  const { get } = api(b, { REDIS_URL: 'redis://127.0.0.1:1' })
  const answer = await get('/api/pending')
  expect([answer.status, ((await answer.json()) as ProblemBody).detail]).toEqual([
    503,
    expect.stringContaining('127.0.0.1:1'),
  ])
})

test('faults are asked of the parent, and marked; without one there are none', async () => {
  const b = await bench(on)
  expect((await api(b).post('/api/demo/kill')).status).toBe(404)
  let hear: (message: unknown) => void = () => {}
  const parent = {
    on: (_: string, listen: (message: unknown) => void) => {
      hear = listen
    },
    send: ({ demo }: { demo: { id: number; action: string; consumer?: string } }) => {
      const { id, action, consumer } = demo
      hear({
        demo: consumer === 'c9' ? { id, error: 'there is no c9' } : { id, text: `${action} ${consumer}` },
      })
      return true
    },
  }
  const { post, demo } = api(b, {}, parent as never)
  hear({ demo: 'ready' })
  expect(await (await post('/api/demo/kill', { consumer: 'c1' })).json()).toMatchObject({ text: 'kill c1' })
  expect((await post('/api/demo/stop', { consumer: 'c9' })).status).toBe(409)
  expect(demo.marks).toMatchObject([{ kind: 'kill', text: 'kill c1' }])
})
