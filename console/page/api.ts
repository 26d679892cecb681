import type { About, Done, ProblemBody } from '../contract.ts'
import { kept } from './storage.ts'
import { Store } from './store.ts'

/** The service refused a request, or could not be asked: `status` 0. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
    this.name = 'Refused'
  }
}

/** What the service says of itself; null until it did. */
export const about = new Store<About | null>(null)

const keptToken = kept('session', 'token')

/** The token for changes; kept for as long as the tab is open. */
export const token = new Store<string | null>(keptToken.get())
token.subscribe(() => keptToken.set(token.value))

/** Reads from the service. Rejects with {@link Refused}, or with an AbortError. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return answered<T>(await asked(path, { ...(signal && { signal }) }))
}

/** Has the service do something. Rejects with {@link Refused}; a token that it does not take is forgotten. */
export async function post<T extends Done = Done>(path: string, body: unknown = {}): Promise<T> {
  const response = await asked(path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-conveyor': '1',
      ...(token.value !== null && { authorization: `Bearer ${token.value}` }),
    },
    body: JSON.stringify(body),
  })
  if (response.status === 401) token.set(null)
  return answered<T>(response)
}

async function asked(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(`/api/${path}`, init)
  } catch (error) {
    if (init.signal?.aborted) throw error
    throw new Refused(0, 'The console does not answer. See whether it is still running, and try again.')
  }
}

async function answered<T>(response: Response): Promise<T> {
  if (response.ok) return (await response.json()) as T
  const problem = (await response.json().catch(() => null)) as ProblemBody | null
  throw new Refused(response.status, problem?.detail ?? `The console answered with ${response.status}.`)
}
