/**
 * Aborts `over` when `from` is aborted, with the same reason. Returns what ends that: a signal that lives for long must
 * not gather a listener with each piece of work, which `AbortSignal.any` leaves to it.
 */
export function follow(over: AbortController, from: AbortSignal): () => void {
  const abort = () => over.abort(from.reason)
  if (from.aborted) abort()
  from.addEventListener('abort', abort)
  return () => from.removeEventListener('abort', abort)
}

/** Settles as `promise` does, or rejects with the signal's reason as soon as that is aborted. */
export async function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  promise.catch(() => {}) // it may fail later, when nobody waits for it any more
  signal.throwIfAborted()
  let abort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
