import { setTimeout as sleep } from 'node:timers/promises'
import { backoff } from './backoff.ts'

export interface ReadyOptions {
  /** The error to end with, for one that waiting does not mend; undefined for all others. */
  readonly refusal: (error: unknown) => Error | undefined
  /** Told, once, why it has to be waited for. */
  readonly away: (reason: Error) => void
  /** Aborted to give up. */
  readonly signal: AbortSignal
}

/**
 * Does what has to be done before something outside can be used, again and again until it succeeds. Resolves to
 * whether it did: false when `signal` was aborted. Rejects with a refusal.
 */
export async function whenReady(
  prepare: () => Promise<unknown>,
  { refusal, away, signal }: ReadyOptions,
): Promise<boolean> {
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      await prepare()
      return true
    } catch (error) {
      if (signal.aborted) return false
      const final = refusal(error)
      if (final) throw final
      if (attempt === 1) away(error as Error)
      await sleep(backoff(attempt), undefined, { signal }).catch(() => {})
    }
  }
  return false
}
