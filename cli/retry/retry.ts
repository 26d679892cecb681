import { EXIT } from '@conveyor/service'
import { retryNow } from '@conveyor/stream'
import { recorded } from '../actions.ts'
import { type Target, withRedis } from '../options.ts'
import { note, say } from '../print.ts'

/** Has a waiting package be due now. Returns the exit code: 1 when it does not wait. */
export function retryPackage(number: number, target: Target): Promise<number> {
  return withRedis(target, async (redis, keys) => {
    if (!(await retryNow(redis, keys, number))) {
      await note(`conveyor: package ${number} does not wait for another attempt (conveyor message ${number})`)
      return EXIT.failed
    }
    await recorded(redis, keys, 'retry', `package ${number}`, 1, ['retry', String(number)])
    await say(`package ${number} is tried again now`)
    return EXIT.ok
  })
}
