// What an operator does to dead letters, in a process that sends its spans as the command does: those whose handler
// failed are replayed with a payload that succeeds, those that it rejected are purged.
// Arguments: Redis URL, stream, group.
import { connect, deadLetters, keysOf, purgeDeadLetter, replayDeadLetter } from '@conveyor/stream'
import { withTelemetry } from '../../cli/dist/with-telemetry.js'

const [url, stream, group] = process.argv.slice(2)

await withTelemetry(async () => {
  const redis = await connect(url, 'operator')
  const keys = keysOf(stream, group)
  for await (const { id, reason } of deadLetters(redis, keys)) {
    if (reason === 'handler failed') await replayDeadLetter(redis, keys, id, { type: 'success' })
    if (reason === 'rejected') await purgeDeadLetter(redis, keys, id)
  }
  redis.disconnect()
})
process.exit()
