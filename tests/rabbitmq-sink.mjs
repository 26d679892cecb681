// A consumer whose packages go to RabbitMQ, as a process that tests can kill: nothing but the libraries.
import { amqpSettings, openRabbitmqSink } from '@conveyor/rabbitmq'
import { consume, DEFAULTS, keysOf } from '@conveyor/stream'
import { Subject } from 'rxjs'
import { z } from 'zod'

const { REDIS_URL, CONSUMER_ID, STREAM, GROUP } = process.env
const say = (msg, fields) => process.stdout.write(`${JSON.stringify({ level: 30, msg, ...fields })}\n`)
const stop = new AbortController()
process.on('SIGTERM', () => stop.abort())

const events = new Subject()
events.subscribe(event => {
  if (event.type === 'outputBlocked') say('blocked', { reason: event.error.message })
  if (event.type === 'restarting') say('restarting', { reason: event.error.message })
})
const { sink, close } = await openRabbitmqSink({
  config: z.object(amqpSettings).parse(process.env),
  consumer: CONSUMER_ID,
  deadline: 2000,
  stop: stop.signal,
  note: (fields, text) => say(text, fields),
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
  complete: () => close().then(() => process.exit(0)),
})
say('sink started')
