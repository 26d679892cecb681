import type { Channel, ConsumeMessage } from 'amqplib'
import { concatMap, distinctUntilChanged, Observable } from 'rxjs'
import { asked, BrokerLost, whenClosed } from './broker.ts'

/**
 * Messages of a queue, as long as `open` says so: on false the broker is asked for no more, and what was on its way
 * still comes. Completes when `open` does, after the broker has agreed to send nothing more. Errors when the channel
 * is closed or the queue is deleted.
 */
export function deliveries(
  channel: Channel,
  queue: string,
  open: Observable<boolean>,
): Observable<ConsumeMessage> {
  return new Observable(subscriber => {
    let tag: string | undefined
    whenClosed(channel, error => subscriber.error(error))
    const onMessage = (message: ConsumeMessage | null) => {
      if (message) subscriber.next(message)
      else subscriber.error(new BrokerLost(`queue ${queue} was deleted, or its node has left`))
    }
    const turn = async (on: boolean) => {
      if (on) tag = (await asked(channel.consume(queue, onMessage), 'AMQP_QUEUE')).consumerTag
      else if (tag !== undefined) {
        await asked(channel.cancel(tag), 'AMQP_QUEUE')
        tag = undefined
      }
    }
    return open.pipe(distinctUntilChanged(), concatMap(turn)).subscribe({
      error: error => subscriber.error(error),
      complete: () => subscriber.complete(),
    })
  })
}
