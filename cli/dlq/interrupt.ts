import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '@conveyor/service'

/** Runs `work` until it ends or notices that it is to stop: at the first SIGINT or SIGTERM. The second ends at once. */
export async function interruptible<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const stop = () => {
    if (controller.signal.aborted) process.exit(EXIT.failed)
    controller.abort()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    return await work(controller.signal)
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

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
