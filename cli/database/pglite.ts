// A process with PGlite that speaks PostgreSQL's protocol on a port of this machine: `pglite.js <folder> <port>`.
// Over its channel to the parent it says `{"ready": true}`, or whose the folder is, and answers whatever it is sent. It ends
// with the parent.
import { rmSync } from 'node:fs'
import { PGlite } from '@electric-sql/pglite'
import { Gateway } from './gateway.ts'
import { announceEnd, lockFile, takeLock } from './lock.ts'

const [dir = '', port = '0'] = process.argv.slice(2)
let parentGone = false
process.once('disconnect', () => {
  parentGone = true
})
process.on('SIGINT', () => {}) // Ctrl-C is for the parent, which drains first

const other = await takeLock(dir, Number(port))
if (other) {
  process.send?.({ takenBy: other })
  process.exit(0)
}
const db = await PGlite.create(dir)
const gateway = new Gateway(db)
await gateway.listen(Number(port))

let stopping = false
const stop = async () => {
  if (stopping) return
  stopping = true
  announceEnd(dir, Number(port))
  gateway.close()
  await db.close()
  rmSync(lockFile(dir), { force: true })
  process.exit(0)
}
process.on('SIGTERM', () => void stop())
process.on('disconnect', () => void stop())
process.on('message', question => process.send?.({ answer: question }))
if (parentGone) await stop()
else process.send?.({ ready: true })
