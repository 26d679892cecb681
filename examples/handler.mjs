// A handler to begin with: copy it, and put your own work where this one calls a service by HTTP.
//   HANDLER=examples/handler.mjs TARGET_URL=https://example.com npm start
// docs/handlers.md says what a handler is given and what becomes of a package.
import { Reject, RetryLater } from '@conveyor/stream'

/** Calls at the same time, in each consumer. */
export const concurrency = 16
/** Ms until a call is given up, which is a failed attempt. */
export const timeout = 10_000
/** Attempts at a package before it goes to the dead letters. */
export const maxAttempts = 5

const target = process.env.TARGET_URL ?? 'http://127.0.0.1:9000'

/** @type {import('@conveyor/stream').Handler} */
export default async function handle(message, { attempt, log, signal, span }) {
  const response = await fetch(`${target}/packages/${message.package}`, {
    method: 'PUT',
    // A package can come twice, also after it was done: the same key tells the service that it knows it already.
    headers: { 'content-type': 'application/json', 'idempotency-key': message.id },
    body: JSON.stringify(message.payload),
    signal, // at a timeout, ends the request too
  })
  span.setAttribute('http.response.status_code', response.status)
  if (response.ok) {
    if (attempt > 1) log.info({ status: response.status }, 'succeeded in the end')
    return
  }
  const wait = Number(response.headers.get('retry-after') ?? Number.NaN)
  if (wait >= 0) throw new RetryLater(wait * 1000, `${response.status}, asked to wait for ${wait} s`)
  if (response.status < 500) throw new Reject(`refused with ${response.status}`) // trying again will not help
  throw new Error(`failed with ${response.status}`) // tried again after a growing delay
}
