import { once } from 'node:events'
import type { ChannelModel, ConfirmChannel } from 'amqplib'
import { follow } from './abort.ts'
import { asked, BrokerLost, type BrokerOptions, discard, openBroker, whenClosed } from './broker.ts'
import type { Outgoing } from './encode.ts'

/** The broker takes nothing now: it is short of memory or disk. The connection is as good as before. */
export class BrokerBlocked extends Error {
  constructor(reason: string) {
    super(`the broker takes no messages: ${reason}`)
    this.name = 'BrokerBlocked'
  }
}

/** No queue takes a message with this routing key. */
export class Unroutable extends Error {
  constructor(exchange: string, key: string) {
    super(`exchange ${exchange} leads to no queue with the routing key ${key}`)
    this.name = 'Unroutable'
  }
}

/** Where messages go. */
export interface Target {
  readonly exchange: string
  readonly routingKey: string
}

/** One connection with a channel on which the broker confirms what it has stored. It is used until its first error. */
export class Publisher {
  private blocked: string | undefined
  private readonly returned = new Set<string>()
  private readonly ended = new AbortController()

  private constructor(
    private readonly connection: ChannelModel,
    private readonly channel: ConfirmChannel,
  ) {
    connection.on('blocked', reason => {
      this.blocked = reason
    })
    connection.on('unblocked', () => {
      this.blocked = undefined
    })
    channel.on('return', ({ properties }) => this.returned.add(String(properties.messageId)))
    whenClosed(channel, error => this.ended.abort(error))
  }

  /**
   * Rejects with `BrokerLost`, `BrokerRefused`, or as `prepare` does.
   *
   * @param prepare gets the channel before anything is published
   */
  static async open(
    options: BrokerOptions,
    prepare: (channel: ConfirmChannel) => Promise<void>,
  ): Promise<Publisher> {
    const connection = await openBroker(options)
    try {
      const channel = await asked(connection.createConfirmChannel(), 'AMQP_URL')
      const publisher = new Publisher(connection, channel)
      await prepare(channel)
      return publisher
    } catch (error) {
      discard(connection)
      throw error
    }
  }

  /** Whether it can be used. */
  get open(): boolean {
    return !this.ended.signal.aborted
  }

  /**
   * Publishes messages; resolves when all are confirmed. Rejects as soon as one is not, with `BrokerLost`,
   * {@link BrokerBlocked}, {@link Unroutable}, or the signal's reason.
   *
   * @param deadline ms in which all must be confirmed
   */
  async publish(
    messages: readonly Outgoing[],
    target: Target,
    deadline: number,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.blocked !== undefined) throw new BrokerBlocked(this.blocked)
    const over = new AbortController()
    const timer = setTimeout(() => over.abort(this.tooLate(deadline)), deadline)
    const ends = [signal, this.ended.signal].map(from => follow(over, from))
    try {
      await this.publishAll(messages, target, over.signal)
    } catch (error) {
      over.signal.throwIfAborted() // it says why a wait for room has ended
      throw error
    } finally {
      clearTimeout(timer)
      for (const end of ends) end()
    }
  }

  /** Lets go of the connection; what is under way rejects. */
  close(): void {
    this.ended.abort(new BrokerLost('closed meanwhile'))
    discard(this.connection)
  }

  private async publishAll(messages: readonly Outgoing[], target: Target, over: AbortSignal): Promise<void> {
    over.throwIfAborted()
    const all = confirmations(messages.length, over)
    for (const { id, content, options } of messages) {
      const room = this.channel.publish(target.exchange, target.routingKey, content, options, error => {
        if (error) all.failed(new BrokerLost((error as Error).message))
        else if (this.returned.delete(id)) all.failed(new Unroutable(target.exchange, target.routingKey))
        else all.confirmed()
      })
      if (!room) await Promise.race([all.done, once(this.channel, 'drain', { signal: over })])
    }
    await all.done
  }

  private tooLate(deadline: number): Error {
    if (this.blocked !== undefined) return new BrokerBlocked(this.blocked)
    return new BrokerLost(`not confirmed within ${deadline} ms`)
  }
}

/** What is done when so many were confirmed, or one failed, or the signal is aborted. */
function confirmations(count: number, over: AbortSignal) {
  let left = count
  const { promise: done, resolve, reject } = withResolvers()
  done.catch(() => {}) // it may fail while nobody waits for it yet
  over.addEventListener('abort', () => reject(over.reason), { once: true })
  return {
    done,
    failed: reject,
    confirmed: () => {
      left--
      if (left === 0) resolve()
    },
  }
}

function withResolvers() {
  let resolve = () => {}
  let reject = (_: unknown) => {}
  const promise = new Promise<void>((done, failed) => {
    resolve = done
    reject = failed
  })
  return { promise, resolve, reject }
}
