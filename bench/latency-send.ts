// Sends packages at a steady rate, each at its own time, whatever became of the ones before.
// Arguments: bare or ours, Redis URL, stream, packages per second, how many packages.
// Sends back when the first one was meant to be sent, and how late each was.
import { setTimeout as sleep } from 'node:timers/promises'
import { keysOf, Lane, packages } from '@conveyor/stream'
import { Redis } from 'ioredis'
import { now } from './clock.ts'

const [who, url, stream, ...numbers] = process.argv.slice(2) as [string, string, string, string, string]
const [rate, total] = numbers.map(Number) as [number, number]

/** Sends the packages from a number on; resolves when the next may be sent. */
const send = who === 'bare' ? bare() : ours()
const start = now() + 200
const late = new Float64Array(total)
for (let sent = 0; sent < total; ) {
  const time = now()
  const due = Math.min(total, Math.floor(((time - start) * rate) / 1000) + 1)
  if (due > sent) {
    for (let n = sent; n < due; n++) late[n] = time - (start + (n * 1000) / rate)
    await send(sent + 1, due - sent)
    sent = due
  }
  // Not by blocking, which is finer: answers are to be taken meanwhile.
  await sleep(start + (sent * 1000) / rate - now())
}
process.send?.({ start, late: Array.from(late) })
process.on('disconnect', () => process.exit())

/** An XADD a package, none of which is waited for. */
function bare() {
  const redis = new Redis(url)
  return async (first: number, count: number) => {
    for (let number = first; number < first + count; number++) {
      const data = `{"timestamp_producer":${Math.floor(Date.now() / 1000)},"payload":{"package":${number}}}`
      redis.xadd(stream, '*', 'data', data)
    }
  }
}

/** What is due goes in one request; what becomes due meanwhile in the next. */
function ours() {
  const lane = new Lane({ url, keys: keysOf(stream, 'g'), groups: ['g'] })
  let waiting = 0
  let busy = false
  const next = async () => {
    busy = true
    while (waiting > 0) {
      const count = waiting
      waiting = 0
      await lane.append([packages(count)])
    }
    busy = false
  }
  return async (_first: number, count: number) => {
    waiting += count
    if (!busy) next().catch(error => setImmediate(() => Promise.reject(error)))
  }
}
