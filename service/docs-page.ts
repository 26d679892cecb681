import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Hono } from 'hono'
import { secureHeaders } from 'hono/secure-headers'

const require = createRequire(import.meta.url)

const page = (title: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<main id="docs"></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
`
const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', deepLinking: true, tryItOutEnabled: true })\n`

const TYPES = { 'swagger-ui.css': 'text/css', 'swagger-ui-bundle.js': 'text/javascript' } as const

/**
 * `GET /docs`, and `GET /`: the API, to read and to try out. Everything it needs is served from here.
 *
 * @param title plain text, without markup
 */
export function docsPage(title: string): Hono {
  const app = new Hono().use(
    '/docs/*',
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        frameAncestors: ["'none'"],
      },
    }),
  )
  app.get('/', c => c.redirect('/docs'))
  app.get('/docs', c => c.html(page(title)))
  app.get('/docs/start.js', c => c.body(START, 200, { 'content-type': 'text/javascript' }))
  for (const [file, type] of Object.entries(TYPES)) {
    app.get(`/docs/${file}`, async c => {
      const bytes = await readFile(require.resolve(`swagger-ui-dist/${file}`))
      return c.body(new Uint8Array(bytes), 200, { 'content-type': type, 'cache-control': 'max-age=3600' })
    })
  }
  return app
}
