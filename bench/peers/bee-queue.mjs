// bee-queue's fastest settings that keep its promise: what its README says costs Redis and memory is off (events, stored
// jobs), jobs are removed when they are done, and added by saveAll.
import Queue from 'bee-queue'
import { options, payload, producing, range, ready, redis, sendAll } from './turn.mjs'

const queue = new Queue(options.queue, {
  redis,
  isWorker: !producing,
  getEvents: false,
  sendEvents: false,
  storeJobs: false,
  removeOnSuccess: true,
})
await queue.ready()
await ready()
if (producing) {
  await sendAll(async (first, count) => {
    const failed = await queue.saveAll(range(first, count).map(number => queue.createJob(payload(number))))
    if (failed.size > 0) throw failed.values().next().value
  })
  process.exit(0)
} else {
  queue.process(options.concurrency, async () => {})
}
