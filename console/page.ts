import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { Problem } from '@conveyor/service'
import { Hono } from 'hono'

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
}

interface Asset {
  readonly type: string
  readonly tag: string
  readonly bytes: Buffer
  readonly zipped: Buffer
}

/** The page, as `console/bundle.mjs` has made it: read once, and kept. */
export function pageFiles(folder = pageFolder()): Hono {
  const app = new Hono()
  const assets = new Map<string, Asset>()
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const type = TYPES[name.split('.').at(-1) ?? '']
    if (type === undefined) continue
    const bytes = readFileSync(`${folder}/${name}`)
    const tag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 20)}"`
    assets.set(name === 'index.html' ? '/' : `/${name}`, {
      type,
      tag,
      bytes,
      zipped: gzipSync(bytes, { level: 9 }),
    })
  }
  app.get('*', c => {
    const asset = assets.get(c.req.path)
    if (!asset) {
      const why = assets.size === 0 ? 'the page is not built: npm run build' : `there is no ${c.req.path}`
      throw new Problem(404, why)
    }
    const { type, tag, bytes, zipped } = asset
    // Asked for again each time, and mostly not sent: a new version is there at once.
    const headers = { 'content-type': type, etag: tag, 'cache-control': 'no-cache', vary: 'accept-encoding' }
    if (c.req.header('if-none-match') === tag) return c.body(null, 304, headers)
    const gzip = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')
    const body = new Uint8Array(gzip ? zipped : bytes)
    return c.body(body, 200, gzip ? { ...headers, 'content-encoding': 'gzip' } : headers)
  })
  return app
}

/** Where the page is, seen from here or from `dist`. */
function pageFolder(): string {
  const here = fileURLToPath(new URL('.', import.meta.url))
  return here.endsWith('/dist/') ? `${here}page` : `${here}dist/page`
}
