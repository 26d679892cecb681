// A process with PGlite that speaks PostgreSQL's protocol on a port of this machine: `pglite.js <folder> <port>`.
// It says over its channel to the parent when it is ready, and ends with the parent, or when PGlite fails.
import { PGlite } from '@electric-sql/pglite'
import { Gateway } from './gateway.ts'

const [dir = '', port = '0'] = process.argv.slice(2)
const db = await PGlite.create(dir)
const gateway = new Gateway(db)
await gateway.listen(Number(port))

const stop = async () => {
  gateway.close()
  await db.close()
  process.exit(0)
}
for (const signal of ['SIGTERM', 'disconnect'] as const) process.once(signal, () => void stop())
process.on('SIGINT', () => {}) // Ctrl-C is for the parent, which drains first
process.send?.('ready')
