import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import type { Hono } from 'hono'
import { ConfigError } from './config.ts'

export interface HttpServer {
  /** The port that it listens on. */
  readonly port: number
  close(): Promise<void>
}

/**
 * Serves an app. `port` 0 takes any free one. Throws {@link ConfigError} when the address cannot be used;
 * `variable` names the setting in its message.
 */
export function serveHttp(app: Hono, hostname: string, port: number, variable: string): Promise<HttpServer> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname, port }, info => {
      resolve({
        port: (info as AddressInfo).port,
        close: () =>
          new Promise(done => {
            server.close(() => done())
            if ('closeAllConnections' in server) server.closeAllConnections()
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
