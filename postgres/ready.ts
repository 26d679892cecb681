import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError } from '@conveyor/service'
import { backoff } from '@conveyor/stream'
import { isSettingsFault } from './pool.ts'

/**
 * Does what has to be done before the database can be used, again until it succeeds. Throws `ConfigError` for what
 * waiting does not mend; rejects as `signal` is aborted.
 *
 * @param note told why it has to be tried again
 */
export async function whenReady<T>(
  prepare: () => Promise<T>,
  note: (error: Error) => void,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await prepare()
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof ConfigError) throw error
      if (isSettingsFault(error)) throw new ConfigError(`DATABASE_URL: ${(error as Error).message}`)
      note(error as Error)
      await sleep(backoff(attempt), undefined, { signal })
    }
  }
}
