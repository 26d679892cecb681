import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import type { Hono } from 'hono'
import { ConfigError } from './config.ts'

export interface HttpServer {
  /** The port that it listens on. */
  readonly port: number
  /** Takes no further requests; those under way have a second to be answered. */
  close(): Promise<void>
}

/** Ms for requests under way when a server closes. */
const GRACE = 1000
/** Ms that the body of a request may take to come: Node.js' five minutes would cut long streams off. */
const REQUEST_TIMEOUT = 3600_000

/**
 * Serves an app. `port` 0 takes any free one. Throws {@link ConfigError} when the address cannot be used;
 * `variable` names the setting in its message.
 */
export function serveHttp(app: Hono, hostname: string, port: number, variable: string): Promise<HttpServer> {
  return new Promise((resolve, reject) => {
    const serverOptions = { requestTimeout: REQUEST_TIMEOUT }
    const server = serve({ fetch: app.fetch, hostname, port, serverOptions }, info => {
      resolve({
        port: (info as AddressInfo).port,
        close: () =>
          new Promise(done => {
            server.close(() => done()) // and with it connections that nobody uses
            setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), GRACE).unref()
          }),
      })
    })
    server.on('error', (error: NodeJS.ErrnoException) => {
      reject(
        new ConfigError(
          `${variable}=${port}: cannot listen on ${hostname}:${port} (${error.code}): choose another`,
        ),
      )
    })
  })
}
