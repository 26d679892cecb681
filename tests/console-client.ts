import { request } from 'node:http'
import type { Delta, Snapshot } from '../console/contract.ts'
import { until } from './redis.ts'

export interface Answer<T = Record<string, unknown>> {
  readonly status: number
  readonly headers: Headers
  readonly body: T
  readonly text: string
}

/** Asks a console as its page would. */
export class ConsoleClient {
  constructor(
    readonly url: string,
    private readonly headers: Record<string, string> = {},
  ) {}

  get<T>(path: string): Promise<Answer<T>> {
    return this.ask(path, { headers: this.headers })
  }

  post<T>(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Answer<T>> {
    return this.ask(path, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'x-conveyor': '1', ...this.headers, ...headers },
    })
  }

  /** A snapshot that meets the condition. */
  async snapshot(condition: (snapshot: Snapshot) => boolean, what: string): Promise<Snapshot> {
    let last: Snapshot | undefined
    const found = await until(
      async () => {
        const { body, status } = await this.get<Snapshot>('/api/snapshot')
        last = body
        return status === 200 && condition(body) ? body : undefined
      },
      what,
      20_000,
    ).catch(error => {
      throw new Error(`${(error as Error).message}\nlast: ${JSON.stringify(last)}`)
    })
    return found as Snapshot
  }

  private async ask<T>(path: string, init: RequestInit): Promise<Answer<T>> {
    const response = await fetch(`${this.url}${path}`, init)
    const text = await response.text()
    const type = response.headers.get('content-type') ?? ''
    const body = type.includes('json') && !type.includes('ndjson') ? JSON.parse(text) : undefined
    return { status: response.status, headers: response.headers, body, text }
  }
}

export interface Heard {
  readonly event: string
  readonly data: Snapshot & Delta
}

/** An open stream of events. */
export class Listener {
  readonly heard: Heard[] = []
  status = 0
  headers: NodeJS.Dict<string | string[]> = {}
  text = ''
  readonly #request
  #response: import('node:http').IncomingMessage | undefined

  constructor(url: string, headers: Record<string, string> = {}) {
    this.#request = request(`${url}/api/events`, { headers, agent: false }, response => {
      this.status = response.statusCode ?? 0
      this.headers = response.headers
      this.#response = response
      let rest = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        this.text += this.status === 200 ? '' : chunk
        const parts = (rest + chunk).split('\n\n')
        rest = parts.pop() ?? ''
        for (const part of parts) {
          const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(part) ?? []
          if (event && data) this.heard.push({ event, data: JSON.parse(data) })
        }
      })
    })
    this.#request.on('error', () => {})
    this.#request.end()
  }

  of(event: string): Heard['data'][] {
    return this.heard.filter(one => one.event === event).map(({ data }) => data)
  }

  /** Takes nothing more, as a tab that hangs. */
  pause(): void {
    this.#response?.pause()
  }

  resume(): void {
    this.#response?.resume()
  }

  close(): void {
    this.#request.destroy()
  }
}
