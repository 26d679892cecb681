// A handler that fails as HANDLING says.
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const { does, nth, package: number, ms, journal } = JSON.parse(process.env.HANDLING)
let seen = 0

function block(time) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time)
}

export default message => {
  seen++
  if (does === 'wait') return sleep(ms).then(() => undefined)
  if (nth !== undefined) {
    if (seen !== nth) return
    process.kill(process.pid, does)
    return block(200) // the signal may take a moment to arrive
  }
  if (message.package !== number) return
  if (journal) appendFileSync(journal, `${process.pid} ${message.deliveries}\n`)
  if (does === 'block') block(ms)
  if (does === 'throw') throw new TypeError('no such thing')
  if (does === 'crash') process.kill(process.pid, 'SIGKILL')
  if (does === 'crash') block(200)
}
