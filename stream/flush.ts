import type { Redis } from 'ioredis'
import { audit } from './audit.ts'
import { answer } from './connection.ts'
import type { Events } from './events.ts'
import type { Keys } from './keys.ts'
import { OutputWriter } from './output.ts'
import { OutputDamaged } from './output-file.ts'
import { prepareRunFolder, runFolder } from './run-folder.ts'

/** What a one-shot flush did. */
export interface Flushed {
  readonly bytes: number
  /** Files that could not be continued, with the reason. */
  readonly damaged: OutputDamaged[]
}

/**
 * Writes every consumer's output log to its file, whether the consumer lives or not. After the last
 * consumer is gone this brings the files up to what was committed.
 */
export async function flush(redis: Redis, keys: Keys, directory: string, events?: Events): Promise<Flushed> {
  const [epoch, known] = await answer(redis.hmget(keys.head, 'epoch', 'audited'))
  if (!epoch) return { bytes: 0, damaged: [] }
  const run = runFolder(directory, epoch)
  await prepareRunFolder(run, keys)
  const serverRun = /run_id:(\w+)/.exec(await answer(redis.info('server')))?.[1] ?? ''
  if (known !== serverRun) await audit(redis, keys, run, serverRun, events)
  let total = 0
  const damaged: OutputDamaged[] = []
  for (const consumer of await answer(redis.hkeys(keys.files))) {
    const writer = new OutputWriter(redis, keys, run, consumer)
    try {
      await writer.flush((bytes, to, ms) => {
        total += bytes
        events?.next({ type: 'flushed', consumer, bytes, to, ms })
      })
    } catch (error) {
      if (!(error instanceof OutputDamaged)) throw error
      damaged.push(error)
    } finally {
      await writer.close()
    }
  }
  return { bytes: total, damaged }
}
