import type { Duplex } from 'node:stream'
import { type Channel, type ChannelModel, connect } from 'amqplib'
import { Observable } from 'rxjs'

/** The broker could not be reached, or a connection or a channel to it ended: another one may do better. */
export class BrokerLost extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'BrokerLost'
  }
}

/** The broker understood what was asked, and refuses it: credentials, a virtual host, a queue of another kind. */
export class BrokerRefused extends Error {
  /** @param setting the variable that is to blame */
  constructor(
    readonly setting: 'AMQP_URL' | 'AMQP_QUEUE' | 'AMQP_EXCHANGE',
    reason: string,
  ) {
    super(reason)
    this.name = 'BrokerRefused'
  }
}

export interface BrokerOptions {
  /** `amqp://[user:password@]host[:port][/vhost]` or `amqps://`. */
  readonly url: string
  /** Shown in the list of connections. */
  readonly name: string
  /** Ms for connecting; a broker that is silent for two to three times as long is taken for lost. */
  readonly deadline: number
}

/**
 * Opens one connection that never acts by itself: no reconnecting, nothing sent twice. Who loses it opens another.
 * Rejects with {@link BrokerLost} or {@link BrokerRefused}.
 */
export async function openBroker({ url, name, deadline }: BrokerOptions): Promise<ChannelModel> {
  try {
    const connection = await connect(withHeartbeat(url, deadline), {
      timeout: deadline,
      noDelay: true,
      keepAlive: true,
      clientProperties: { connection_name: name },
    })
    connection.on('error', () => {}) // 'close' follows, and says why
    return connection
  } catch (error) {
    const { message } = error as Error
    if (message.startsWith('Handshake terminated by server: 403'))
      throw new BrokerRefused('AMQP_URL', saidIn(message))
    if (message.includes('<ConnectionClose'))
      throw new BrokerRefused(
        'AMQP_URL',
        'the broker refuses the virtual host: it is not there, or not for this user',
      )
    const { hostname, port } = new URL(url)
    throw new BrokerLost(`RabbitMQ at ${hostname}${port && `:${port}`}: ${message}`)
  }
}

/** A connection for as long as it is subscribed; errors as {@link openBroker} rejects, and when it is lost. */
export function connected(options: BrokerOptions): Observable<ChannelModel> {
  return new Observable(subscriber => {
    let connection: ChannelModel | undefined
    openBroker(options).then(
      opened => {
        if (subscriber.closed) {
          discard(opened)
          return
        }
        connection = opened
        opened.on('close', cause =>
          subscriber.error(new BrokerLost(saidIn(cause?.message ?? 'connection closed'))),
        )
        subscriber.next(opened)
      },
      error => subscriber.error(error),
    )
    return () => connection && discard(connection)
  })
}

/** Ends a connection without asking the broker, which may be gone. What is not acknowledged is delivered again. */
export function discard(connection: ChannelModel): void {
  const { stream } = connection.connection as unknown as { stream: Duplex } // what `close` offers waits for an answer
  stream.destroy(new Error('thrown away'))
}

/** Calls `lost` once, when the channel has ended, whoever ended it. */
export function whenClosed(channel: Channel, lost: (error: BrokerLost) => void): void {
  let cause = 'channel closed'
  channel.on('error', error => {
    cause = saidIn(error.message)
  })
  channel.on('close', () => lost(new BrokerLost(cause)))
}

/** What waiting does not mend: no right, not there, there but different, not known to this broker. */
const REFUSALS = new Set([403, 404, 406, 540])

/** Awaits what is asked of a channel. Rejects with {@link BrokerRefused} or {@link BrokerLost}. */
export async function asked<T>(call: Promise<T>, setting: BrokerRefused['setting']): Promise<T> {
  try {
    return await call
  } catch (error) {
    const { code, message } = error as Error & { code?: unknown }
    const passing = /down or inaccessible/.test(message) // a node of the queue is away: the same code as not there
    if (typeof code === 'number' && REFUSALS.has(code) && !passing)
      throw new BrokerRefused(setting, saidIn(message))
    throw new BrokerLost(saidIn(message), { cause: error })
  }
}

/** The broker's own words in an error of the library's. */
function saidIn(message: string): string {
  return /with message "(.*)"$/s.exec(message)?.[1] ?? message
}

function withHeartbeat(text: string, deadline: number): string {
  const url = new URL(text)
  if (!url.searchParams.has('heartbeat'))
    url.searchParams.set('heartbeat', String(Math.max(1, Math.ceil(deadline / 1000))))
  return url.href
}
