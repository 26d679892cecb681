import { Redis } from 'ioredis'
import { Observable } from 'rxjs'

/** Redis could not be reached, or the connection broke, or an answer did not come within its deadline. */
export class ConnectionLost extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'ConnectionLost'
  }
}

/** Redis answered with an error. `code` is its first word; the command's arguments are not kept. */
export class RedisError extends Error {
  readonly code: string
  constructor(message: string) {
    super(message)
    this.name = 'RedisError'
    this.code = message.split(' ', 1)[0] ?? ''
  }
}

/** How long a command may wait for its answer, in ms, before the connection is given up. */
export const DEADLINE = 5000

/**
 * Opens one connection that never acts by itself: no reconnecting, no queue while offline, nothing sent
 * twice, and a deadline on every command. Who loses it opens another and derives its state from Redis.
 * Rejects with {@link ConnectionLost}, or {@link RedisError} when the password is refused.
 *
 * @param url `redis://[user:password@]host:port[/db]` or `rediss://`
 * @param name shown by CLIENT LIST
 * @param deadline ms for connecting and for each command; 0 for a connection whose commands block
 */
export async function connect(url: string, name: string, deadline = DEADLINE): Promise<Redis> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectionName: name,
    retryStrategy: () => null,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    connectTimeout: deadline || DEADLINE,
    ...(deadline ? { commandTimeout: deadline } : {}),
  })
  let cause: Error | undefined
  redis.on('error', error => {
    cause = error
  })
  // A stopped server still accepts connections: only an answered command proves that it lives.
  const alive = redis.connect().then(() => redis.ping())
  try {
    await within(deadline || DEADLINE, alive, 'no answer to PING')
  } catch (error) {
    redis.disconnect()
    for (const found of [cause, error].map(plainError))
      if (found instanceof RedisError && REFUSED.has(found.code)) throw found
    const { host, port } = redis.options
    throw new ConnectionLost(`Redis at ${host}:${port}: ${(cause ?? (error as Error)).message}`)
  }
  return redis
}

/** A connection for as long as it is subscribed; errors as {@link connect} rejects, and never completes. */
export function connected(url: string, name: string, deadline = DEADLINE): Observable<Redis> {
  return new Observable(subscriber => {
    let redis: Redis | undefined
    connect(url, name, deadline).then(
      opened => {
        if (subscriber.closed) opened.disconnect()
        else {
          redis = opened
          subscriber.next(opened)
        }
      },
      error => subscriber.error(error),
    )
    return () => redis?.disconnect()
  })
}

/** Settles as `promise` does, or rejects with {@link ConnectionLost} after `ms`. */
export function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new ConnectionLost(`${what} within ${ms} ms`)), ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** What Redis answers to a wrong or missing password: waiting does not mend that. */
const REFUSED = new Set(['WRONGPASS', 'NOAUTH', 'NOPERM'])

/** What Redis answers while it cannot serve for reasons of its own, and which pass. */
const PASSING = new Set([
  'LOADING',
  'BUSY',
  'MISCONF',
  'MASTERDOWN',
  'READONLY',
  'TRYAGAIN',
  'CLUSTERDOWN',
  'OOM',
])

/** Whether trying again later, with everything derived anew, may help. */
export function isPassing(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof RedisError && PASSING.has(error.code))
}

/**
 * Turns what ioredis rejects with into {@link RedisError} (an answer) or {@link ConnectionLost} (none).
 * ioredis' own errors carry all arguments of the command, which would put payloads into logs.
 */
export function plainError(error: unknown): Error {
  if (error instanceof RedisError || error instanceof ConnectionLost) return error
  if (!(error instanceof Error)) return new Error(String(error))
  if (error.name === 'ReplyError')
    return new RedisError(error.message.replace(/ script: [0-9a-f]{40}.*$/s, ''))
  return new ConnectionLost(error.message)
}

/** Awaits an ioredis call; rejects as {@link plainError} says. */
export function answer<T>(call: Promise<T>): Promise<T> {
  return call.catch(error => {
    throw plainError(error)
  })
}
