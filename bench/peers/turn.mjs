// What all peers have in common: `node <peer>.mjs produce|consume <options as JSON>`. A process says `ready` when it is
// connected, begins at the next line on its standard input, and ends when that is closed.
import { once } from 'node:events'

/**
 * port: of Redis on 127.0.0.1; queue: its name. consume: concurrency, of one process. produce: total, how many messages;
 * bulk, messages in a call; calls, how many of these are under way at the same time; everyMs, how long a call waits for
 * the next at least.
 */
export const options = JSON.parse(process.argv[3])
export const producing = process.argv[2] === 'produce'

export const redis = { host: '127.0.0.1', port: options.port }

/** What a message says, as Conveyor's packages do. */
export const payload = number => ({
  timestamp_producer: Math.floor(Date.now() / 1000),
  payload: { package: number },
})

export async function ready() {
  process.stdin.on('end', () => process.exit(0))
  process.stdout.write('ready\n')
  await once(process.stdin, 'data')
}

/** Appends `total` messages, `bulk` in a call; `send` takes the number of the first and how many. */
export async function sendAll(send) {
  const { total, bulk, calls = 1, everyMs = 0 } = options
  let next = 1
  const lane = async () => {
    while (next <= total) {
      const first = next
      const count = Math.min(bulk, total - first + 1)
      next += count
      await Promise.all([send(first, count), everyMs && wait(everyMs)])
    }
  }
  await Promise.all(Array.from({ length: calls }, lane))
}

/** Resolves after `ms`. */
export const wait = ms => new Promise(resolve => setTimeout(resolve, ms))

export const range = (first, count) => Array.from({ length: count }, (_, n) => first + n)
