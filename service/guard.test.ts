import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { guard } from './guard.ts'
import type { Problem } from './problem.ts'

const TOKEN = 'correct-horse-battery'

/** The status of a request to a guarded service. */
async function ask(
  { token, host = '127.0.0.1' }: { token?: string; host?: string },
  method: string,
  headers: Record<string, string> = {},
  url = 'http://127.0.0.1:8000/',
): Promise<number> {
  const app = new Hono()
    .onError((error, c) => (error as Problem).respond(c))
    .use(guard(token, host))
    .all('/', c => c.text('done'))
  return (await app.request(url, { method, headers })).status
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('with a token', () => {
  test.each([
    ['the token', bearer(TOKEN), 200],
    ['the token, the scheme in small letters', { authorization: `bearer ${TOKEN}` }, 200],
    ['none', {}, 401],
    ['an empty one', { authorization: 'Bearer ' }, 401],
    ['another', bearer('correct-horse-batterx'), 401],
    ['a part of it', bearer(TOKEN.slice(0, -1)), 401],
    ['more than it', bearer(`${TOKEN}x`), 401],
    ['another scheme', { authorization: `Basic ${TOKEN}` }, 401],
    ['two', { authorization: `Bearer ${TOKEN} ${TOKEN}` }, 401],
  ])('a change with %s', async (_, headers, status) => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
      expect(await ask({ token: TOKEN }, method, headers)).toBe(status)
  })

  test('reading needs none', async () => {
    expect(await ask({ token: TOKEN, host: '0.0.0.0' }, 'GET')).toBe(200)
  })
})

describe('without a token', () => {
  test.each(['127.0.0.1', 'localhost', '::1', '127.1.2.3'])('a service on %s can be changed', async host => {
    expect(await ask({ host }, 'POST')).toBe(200)
  })

  test.each(['0.0.0.0', '::', '10.0.0.1', 'example.org', '127.0.0.1.example.org'])(
    'a service on %s cannot',
    async host => {
      expect(await ask({ host }, 'POST')).toBe(403)
      expect(await ask({ host }, 'GET')).toBe(200)
    },
  )

  test.each([
    ['its own', { origin: 'http://127.0.0.1:8000' }, 200],
    ['another', { origin: 'https://example.org' }, 403],
    ['another port', { origin: 'http://127.0.0.1:3000' }, 403],
    ['none that can be named', { origin: 'null' }, 403],
  ])('a page of %s origin', async (_, headers, status) => {
    expect(await ask({}, 'POST', headers)).toBe(status)
  })

  test('a name that was made to point here', async () => {
    expect(await ask({}, 'POST', { host: 'evil.example:8000' }, 'http://evil.example:8000/')).toBe(403)
  })
})
