import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { LetterPage, SearchResult, Snapshot } from '../console/contract.ts'
import { startConsole } from './browser.ts'
import { ConsoleClient, Listener } from './console-client.ts'
import { type Bench, bench, settle, until, useRedis } from './redis.ts'

const on = useRedis()
const TOKEN = 'a-token-of-some-length'
const SCRIPT = '</script><script>alert(1)</script><img src=x onerror=alert(2)>\u0000\u001b[2J\u2028'

async function start(
  env: NodeJS.ProcessEnv = {},
): Promise<{ b: Bench; client: ConsoleClient; url: string; pid: number }> {
  const b = await bench(on)
  const { url, process } = await startConsole(b.directory, {
    REDIS_URL: b.url,
    STREAM: b.keys.stream,
    GROUP: b.keys.group,
    OUTPUT_DIR: b.directory,
    ...env,
  })
  // Where a name of this machine does not resolve, its number does.
  const at = url.replace('localhost', '127.0.0.1')
  return { b, client: new ConsoleClient(at), url: at, pid: process.pid }
}

test('script in payloads, names and errors comes out as text, under headers that would not run it', async () => {
  const { b, client } = await start()
  await b.fill(1, SCRIPT.replaceAll('\u0000', '').replaceAll('\u001b', '').replaceAll('"', ''))
  const session = await b.open('a')
  await b.redis.hset(b.keys.sessions, SCRIPT, 'token <b>host</b>/1')
  const [entry = ''] = await b.receive('a', 1)
  await settle(session, [
    { entry, kind: 'dead', package: 1, reason: SCRIPT, detail: SCRIPT, stack: SCRIPT } as never,
  ])
  const { body, headers, text } = await client.get<LetterPage>('/api/letters')
  expect(headers.get('content-type')).toMatch(/^application\/json/)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(body.letters[0]?.detail).toBe(SCRIPT)
  expect(text).not.toContain('\u0000')
  const { seen } = (await client.get<Snapshot>('/api/snapshot')).body
  expect(seen?.consumers.map(({ id }) => id)).toContain(SCRIPT)
  const found = await client.get<SearchResult>(`/api/search?text=${encodeURIComponent('<script>')}`)
  expect(found.body.hits).toHaveLength(1)
  for (const path of [
    '/',
    '/api/about',
    '/api/letters',
    '/api/nothing',
    '/nothing',
    `/${encodeURIComponent(SCRIPT)}`,
  ]) {
    const { headers, text } = await client.get(path)
    expect(headers.get('content-security-policy'), path).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
    )
    if (!headers.get('content-type')?.includes('json')) expect(text, path).not.toContain('<script>alert')
    expect(headers.get('access-control-allow-origin'), path).toBeNull()
  }
  const page = (await client.get('/')).text
  expect(page).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\bon\w+=|style=/)
  const refused = await client.post(`/api/consumers/${encodeURIComponent(SCRIPT)}/pause`)
  expect(refused.status).toBe(400)
})

test('changes need the header, the token, and the same origin', async () => {
  const { client, url } = await start({ CONSOLE_TOKEN: TOKEN })
  const bearer = { authorization: `Bearer ${TOKEN}` }
  const paths = [
    '/api/retry',
    '/api/consumers/a/pause',
    '/api/letters/replay',
    '/api/letters/1-0/edit',
    '/api/jobs/x/stop',
    '/api/demo/kill',
  ]
  for (const path of paths) {
    expect((await client.post(path)).status, path).toBe(401)
    expect((await client.post(path, {}, { authorization: 'Bearer wrong' })).status, path).toBe(401)
    expect((await client.post(path, {}, { ...bearer, 'x-conveyor': '0' })).status, path).toBe(403)
    expect((await client.post(path, {}, { ...bearer, origin: 'http://evil.example' })).status, path).toBe(403)
    expect((await client.post(path, {}, { ...bearer, 'sec-fetch-site': 'cross-site' })).status, path).toBe(
      403,
    )
    expect([401, 403], path).not.toContain((await client.post(path, {}, { ...bearer, origin: url })).status)
  }
  expect((await client.get<{ changes: string }>('/api/about')).body.changes).toBe('token')
  // A form can send these without a preflight.
  const plain = await client.post('/api/retry', 'package=1', { ...bearer, 'content-type': 'text/plain' })
  expect(plain.status).toBe(415)
  expect((await client.post('/api/demo/kill', {}, bearer)).status).toBe(404)
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS'])
    expect((await fetch(`${url}/api/retry`, { method })).status, method).toBeGreaterThanOrEqual(400)
})

test('what others can reach is for reading only, unless there is a token', async () => {
  const { client } = await start({ HOST: '0.0.0.0' })
  expect((await client.post('/api/retry', { package: 1 })).status).toBe(403)
  expect((await client.get<{ changes: string }>('/api/about')).body).toMatchObject({
    changes: 'refused',
    why: expect.stringContaining('CONSOLE_TOKEN'),
  })
  expect((await client.get('/api/pending')).status).toBe(200)
})

test('pages of other origins cannot read, nor can names that were made to point here', async () => {
  const { url } = await start()
  const port = Number(new URL(url).port)
  const ask = (head: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(`${head}\r\nConnection: close\r\n\r\n`))
      let text = ''
      socket.setEncoding('utf8').on('data', chunk => {
        text += chunk
      })
      socket.on('close', () => resolve(text)).on('error', reject)
    })
  expect(await ask('GET /api/pending HTTP/1.1\r\nHost: evil.example:80')).toMatch(/^HTTP\/1\.1 403/)
  expect(
    await ask(`GET /api/pending HTTP/1.1\r\nHost: localhost:${port}\r\nSec-Fetch-Site: cross-site`),
  ).toMatch(/^HTTP\/1\.1 403/)
  expect(
    await ask(`GET /api/events HTTP/1.1\r\nHost: localhost:${port}\r\nSec-Fetch-Site: same-site`),
  ).toMatch(/^HTTP\/1\.1 403/)
  expect(await ask(`GET /../../package.json HTTP/1.1\r\nHost: localhost:${port}`)).toMatch(/^HTTP\/1\.1 404/)
  expect(await ask(`GET /api/pending HTTP/1.1\r\nHost: localhost:${port}`)).toMatch(/^HTTP\/1\.1 200/)
})

test('bodies, filters and searches are bounded, and are never code', async () => {
  const { b, client } = await start()
  await b.open('a')
  const large = JSON.stringify({ payload: { text: 'x'.repeat(2_000_000) } })
  expect((await client.post('/api/letters/1-0/edit', large)).status).toBe(413)
  expect((await client.post('/api/retry', '{"package":')).status).toBe(400)
  for (const wrong of [{ package: 0 }, { package: 1.5 }, { package: '1' }, { package: 1e300 }, [], null])
    expect((await client.post('/api/retry', wrong)).status, JSON.stringify(wrong)).toBe(400)
  for (const wrong of [
    { ids: [] },
    { ids: ['*'] },
    { filter: {}, count: 1 },
    { filter: { reason: 'x' }, count: 0, through: '1-0' },
    { ids: ['1-0'], filter: {}, count: 0, through: '1-0' },
  ])
    expect((await client.post('/api/letters/purge', wrong)).status, JSON.stringify(wrong)).toBe(400)
  for (const query of [
    '',
    'text=a',
    `text=${'x'.repeat(101)}`,
    'packages=9-1',
    'packages=1;2',
    'state=odd',
    'consumer=a%20b',
    'id=*',
  ])
    expect((await client.get(`/api/search?${query}`)).status, query).toBe(400)
  for (const path of [
    '/api/letters?limit=1001',
    '/api/pending?limit=-1',
    '/api/letters/..%2f..',
    '/api/messages/0',
    '/api/audit?limit=x',
  ])
    expect((await client.get(path)).status, path).toBeGreaterThanOrEqual(400)
  const regex = await client.get<SearchResult>(`/api/search?text=${encodeURIComponent('(a+)+$'.repeat(10))}`)
  expect(regex.body).toMatchObject({ hits: [], complete: true })
})

test('a 17th page is refused; one that takes nothing gets the newest, and costs nothing', async () => {
  const { b, url, client } = await start()
  await b.open('a')
  const all: Listener[] = []
  onTestFinished(() => {
    for (const one of all) one.close()
  })
  for (let i = 0; i < 16; i++) all.push(new Listener(url))
  await until(() => all.every(one => one.of('snapshot').length > 0), '16 pages look', 30_000)
  const late = new Listener(url)
  await until(() => late.status !== 0 && late.text !== '', 'the 17th is answered')
  expect(late.status).toBe(503)
  expect(JSON.parse(late.text)).toMatchObject({ status: 503, detail: expect.stringContaining('16 pages') })
  all[0]?.pause()
  all[1]?.close()
  const next = new Listener(url)
  all.push(next)
  await until(() => next.of('snapshot').length > 0, 'there is room again')
  const before = all[2]?.of('snapshot').length ?? 0
  await until(() => (all[2]?.of('snapshot').length ?? 0) > before + 3, 'the others see more', 30_000)
  expect((await client.get('/api/about')).status).toBe(200)
})

test('a thousand connections that say nothing keep nobody out', async () => {
  const { b, url, client } = await start()
  await b.open('a')
  const port = Number(new URL(url).port)
  const sockets: Socket[] = []
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  await Promise.all(
    Array.from({ length: 1000 }, (_, i) => {
      const socket = connect(port, '127.0.0.1')
      sockets.push(socket)
      socket.on('error', () => {})
      return new Promise<void>(resolve => {
        socket.once('connect', () => {
          if (i % 2 === 0) socket.write('GET /api/about HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
          resolve()
        })
        socket.once('error', () => resolve())
      })
    }),
  )
  const started = performance.now()
  const { status } = await client.get('/api/snapshot')
  expect(status).toBe(200)
  expect(performance.now() - started).toBeLessThan(10_000)
  const listener = new Listener(url)
  onTestFinished(() => listener.close())
  await until(() => listener.of('snapshot').length >= 2, 'it is still told', 30_000)
})
