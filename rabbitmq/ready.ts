import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError } from '@conveyor/service'
import { backoff } from '@conveyor/stream'
import { BrokerRefused } from './broker.ts'
import type { RabbitmqSink } from './sink.ts'

/**
 * Has a sink connect and declare what it needs, again until it succeeds. Throws `ConfigError` for what waiting does
 * not mend; rejects as `signal` is aborted.
 *
 * @param note told why it has to be tried again
 */
export async function whenReady(
  sink: Pick<RabbitmqSink, 'open'>,
  note: (error: Error) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await sink.open()
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof BrokerRefused) throw new ConfigError(`${error.setting}: ${error.message}`)
      note(error as Error)
      await sleep(backoff(attempt), undefined, { signal })
    }
  }
}
