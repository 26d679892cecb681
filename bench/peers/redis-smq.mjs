// RedisSMQ: a consumer takes one message at a time, so what makes it faster is more consumers in a process
// (`concurrency`); its event bus and the storing of acknowledged messages are off, as by default. It has no bulk call: a
// producer is given as many messages at a time as others take in a call.
import { promisify } from 'node:util'
import {
  Configuration,
  Consumer,
  EQueueDeliveryModel,
  EQueueType,
  Producer,
  ProducibleMessage,
  Queue,
} from 'redis-smq'
import { ERedisConfigClient } from 'redis-smq-common'
import { options, payload, producing, range, ready, redis, sendAll } from './turn.mjs'

const { queue, concurrency } = options
Configuration.getSetConfig({
  redis: { client: ERedisConfigClient.IOREDIS, options: redis },
  logger: { enabled: false },
})
const call = (target, method, ...args) => promisify(target[method]).call(target, ...args)

if (producing) {
  const type = [EQueueType.FIFO_QUEUE, EQueueDeliveryModel.POINT_TO_POINT]
  await call(new Queue(), 'save', queue, ...type).catch(() => {}) // another process has
  const producer = new Producer()
  await call(producer, 'run')
  await ready()
  await sendAll((first, count) =>
    Promise.all(
      range(first, count).map(number =>
        call(producer, 'produce', new ProducibleMessage().setQueue(queue).setBody(payload(number))),
      ),
    ),
  )
  process.exit(0)
} else {
  const consumers = range(0, concurrency).map(() => new Consumer())
  await ready()
  for (const consumer of consumers) {
    await call(consumer, 'run')
    await call(consumer, 'consume', queue, (_message, done) => done())
  }
}
