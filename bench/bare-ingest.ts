// The least that an API can do that takes messages: it reads JSON, and answers when Redis has its entry.
// Arguments: Redis URL, stream.
import { serveHttp } from '@conveyor/service'
import { Hono } from 'hono'
import { Redis } from 'ioredis'

const [url, stream] = process.argv.slice(2) as [string, string]
const redis = new Redis(url)
const app = new Hono().post('/messages', async c => {
  const body = JSON.stringify(await c.req.json())
  const id = await redis.xadd(stream, '*', 'data', body)
  return c.json({ id }, 202)
})
const { port } = await serveHttp(app, '127.0.0.1', 0, 'PORT')
process.send?.(`http://127.0.0.1:${port}`)
