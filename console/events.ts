import type { ServerResponse } from 'node:http'
import { Problem } from '@conveyor/service'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Context } from 'hono'
import type { Viewer, Watch } from './watch.ts'

/** Pages at a time. */
const MOST = 16
/** Ms after which a page that takes nothing is let go. */
const STUCK = 30_000

/** `GET /api/events`: Server-Sent Events of what the watch sees. What a page does not take in time is left out. */
export function eventStream(watch: Watch, headers: Readonly<Record<string, string>>) {
  let pages = 0
  return (c: Context<{ Bindings: HttpBindings }>): Response => {
    if (pages >= MOST)
      throw new Problem(503, `${MOST} pages are looking already: close one of them`, {
        headers: { 'retry-after': '5' },
      })
    const { outgoing } = c.env
    const response = outgoing as ServerResponse
    response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    response.write('retry: 1000\n\n')
    const leave = watch.add(new Page(response))
    pages++
    response.once('close', () => {
      pages--
      leave()
    })
    return RESPONSE_ALREADY_SENT
  }
}

/** A page at the other end of a response. */
class Page implements Viewer {
  private taken = performance.now()

  constructor(private readonly response: ServerResponse) {}

  /** Sends an event, unless the one before has not left yet. */
  send(event: string, data: string): void {
    const { response } = this
    if (response.destroyed) return
    if (response.writableLength > 0) {
      if (event === 'series')
        this.write(event, data) // there is no other
      else if (performance.now() - this.taken > STUCK) response.destroy()
      return
    }
    this.taken = performance.now()
    this.write(event, data)
  }

  private write(event: string, data: string): void {
    this.response.write(`event: ${event}\ndata: ${data}\n\n`)
  }
}
