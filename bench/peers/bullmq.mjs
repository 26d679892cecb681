// BullMQ's fastest settings that keep its promise: jobs are removed when they are done (its guide: "Auto-removal of
// jobs"), many at a time in one process ("Concurrency"), added by addBulk. Locks, their renewal and the check for stalled
// jobs stay as they are by default.
import { Queue, Worker } from 'bullmq'
import { options, payload, producing, range, ready, redis, sendAll, wait } from './turn.mjs'

const { queue: name, concurrency, handlerMs = 0 } = options

if (producing) {
  const queue = new Queue(name, { connection: redis, defaultJobOptions: { removeOnComplete: true } })
  await queue.waitUntilReady()
  await ready()
  await sendAll((first, count) =>
    queue.addBulk(range(first, count).map(number => ({ name: 'package', data: payload(number) }))),
  )
  process.exit(0)
} else {
  const handler = handlerMs > 0 ? () => wait(handlerMs) : async () => {}
  const worker = new Worker(name, handler, {
    connection: { ...redis, maxRetriesPerRequest: null },
    autorun: false,
    concurrency,
    removeOnComplete: { count: 0 },
  })
  await worker.waitUntilReady()
  await ready()
  await worker.run()
}
