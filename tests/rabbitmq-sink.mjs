// A consumer whose packages go to RabbitMQ, as a process that tests can kill: nothing but the libraries.
import { RabbitmqSink } from '@conveyor/rabbitmq'
import { consume, DEFAULTS, keysOf } from '@conveyor/stream'
import { Subject } from 'rxjs'

const { REDIS_URL, AMQP_URL, AMQP_QUEUE, CONSUMER_ID, STREAM, GROUP } = process.env
const say = (msg, fields) => process.stdout.write(`${JSON.stringify({ level: 30, msg, ...fields })}\n`)
const stop = new AbortController()
process.on('SIGTERM', () => stop.abort())

const events = new Subject()
events.subscribe(event => {
  if (event.type === 'outputBlocked') say('blocked', { reason: event.error.message })
  if (event.type === 'restarting') say('restarting', { reason: event.error.message })
})
const sink = new RabbitmqSink({
  url: AMQP_URL,
  name: 'sink',
  deadline: 2000,
  exchange: { name: 'conveyor', type: 'direct' },
  routingKey: 'packages',
  queue: { name: AMQP_QUEUE, type: 'quorum', deliveryLimit: 1000 },
})
consume({
  url: REDIS_URL,
  keys: keysOf(STREAM, GROUP),
  groups: [GROUP],
  consumer: CONSUMER_ID,
  handler: () => undefined,
  sink,
  events,
  stop: stop.signal,
  settings: { ...DEFAULTS, deadline: 2000 },
}).subscribe({
  error: error => {
    process.stderr.write(`${error.stack}\n`)
    process.exit(1)
  },
  complete: () => process.exit(0),
})
say('sink started')
