import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for `ms`, or until it is to stop. */
export async function pause(ms: number, stop: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal: stop })
  } catch (error) {
    if (!stop.aborted) throw error
  }
}

/** A wait that lets through `rate` calls a second; all of them, when there is none. */
export function pace(rate: number | undefined, stop: AbortSignal): () => Promise<void> {
  let next = Number.NEGATIVE_INFINITY
  return async () => {
    if (rate === undefined) return
    const now = performance.now()
    const due = Math.max(now, next)
    next = due + 1000 / rate
    if (due > now) await pause(due - now, stop)
  }
}
