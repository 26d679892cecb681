// A process with PGlite that speaks PostgreSQL's protocol on a port of this machine: `pglite.js <folder> <port>`.
// It says over its channel to the parent when it is ready, and ends with the parent.
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

const [dir = '', port = '0'] = process.argv.slice(2)
const db = await PGlite.create(dir)
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: Number(port), maxConnections: 100 })
await server.start()

const stop = async () => {
  await server.stop()
  await db.close()
  process.exit(0)
}
for (const signal of ['SIGTERM', 'disconnect'] as const) process.once(signal, () => void stop())
process.on('SIGINT', () => {}) // Ctrl-C is for the parent, which drains first
process.send?.('ready')
