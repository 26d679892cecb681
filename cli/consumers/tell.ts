import { EXIT } from '@conveyor/service'
import { control, NotThere } from '@conveyor/stream'
import { recorded } from '../actions.ts'
import { type Target, withRedis } from '../options.ts'
import { note, say } from '../print.ts'

const CONTROLS = { pause: 'paused', resume: undefined, drain: 'draining' } as const
const SAYS = {
  pause: 'pauses with its next heartbeat',
  resume: 'goes on with its next heartbeat',
  drain: 'finishes what it has, and ends',
} as const

/** Tells a consumer what to do. Returns the exit code: 1 when there is nobody to tell. */
export function tellConsumer(what: keyof typeof CONTROLS, id: string, target: Target): Promise<number> {
  return withRedis(target, async (redis, keys) => {
    try {
      await control(redis, keys, id, CONTROLS[what])
    } catch (error) {
      if (!(error instanceof NotThere)) throw error
      await note(`conveyor: ${error.message}`)
      return EXIT.failed
    }
    await recorded(redis, keys, what, id, 1, ['consumers', what, id])
    await say(`consumer ${id} ${SAYS[what]}`)
    return EXIT.ok
  })
}
