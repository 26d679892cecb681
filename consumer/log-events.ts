import type { Logger } from '@conveyor/service'
import type { Events, StreamEvent } from '@conveyor/stream'

/** Writes what people should know of the stream's life into the log; what happens all the time is left out. */
export function logEvents(events: Events, log: Logger): void {
  events.subscribe(event => logEvent(event, log))
}

function logEvent(event: StreamEvent, log: Logger): void {
  switch (event.type) {
    case 'opened':
      if (event.created) log.info({ epoch: event.epoch }, 'a new run begins')
      break
    case 'sessionOpened':
      log.info({ epoch: event.epoch, output: event.output }, 'session opened')
      break
    case 'sessionClosed':
      log.info('session closed')
      break
    case 'claimed':
      log.warn(
        { from: event.from, count: event.count, lost: event.lost },
        'took over from a consumer that is gone',
      )
      break
    case 'fenced':
      log.warn({ count: event.count }, 'outcomes refused: other consumers had taken the entries over')
      break
    case 'retried': {
      const { entry, package: number, attempt, delay, reason, detail } = event
      log.info({ entry, package: number, attempt, delay, reason, detail }, 'to be tried again')
      break
    }
    case 'dead': {
      const { entry, package: number, reason, detail } = event
      log.warn({ entry, package: number, reason, detail }, 'dead letter')
      break
    }
    case 'controlled':
      log.info({ control: event.control ?? 'go on' }, 'told what to do')
      break
    case 'restarting':
      log.warn(
        { reason: event.error.message, retryIn: Math.round(event.retryIn) },
        'session lost: starting over',
      )
      break
    case 'outputBlocked':
      log.error(
        { consumer: event.consumer, reason: event.error.message },
        'output cannot be written: it waits in Redis',
      )
      break
    case 'outputResumed':
      log.info({ consumer: event.consumer }, 'output is being written again')
      break
    case 'outputDamaged':
      log.error(
        { consumer: event.consumer, reason: event.error.message },
        "a peer's output cannot be completed",
      )
      break
    case 'outputCut': {
      const { consumer, from, to, kept } = event
      log.warn(
        { consumer, from, to, kept },
        'Redis lost its last moments: output cut back, the old file is kept',
      )
      break
    }
  }
}
