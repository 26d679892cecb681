// Reads what there is, acknowledges it, and notes when: the least that a consumer can do.
// Arguments: Redis URL, stream, how many packages. Sends back the stages of all packages, as latency-ours.ts does.
import { Redis } from 'ioredis'
import { Stage } from './stage.ts'

const [url, stream, total] = process.argv.slice(2) as [string, string, string]
const redis = new Redis(url)
await redis.xgroup('CREATE', stream, 'g', '0', 'MKSTREAM')
process.send?.('ready')
const received = new Stage()
const acknowledged = new Stage()
while (acknowledged.done < Number(total)) {
  const reply = (await redis.xreadgroup(
    'GROUP',
    'g',
    'bare',
    'COUNT',
    500,
    'BLOCK',
    500,
    'STREAMS',
    stream,
    '>',
  )) as [string, [string, string[]][]][] | null
  const entries = reply?.[0]?.[1] ?? []
  if (entries.length === 0) continue
  received.reach(received.done + entries.length)
  for (const [id, fields] of entries)
    if (JSON.parse(fields[1] as string).payload.package < 1) throw new Error(id)
  await redis.xack(stream, 'g', ...entries.map(([id]) => id))
  acknowledged.reach(received.done)
}
process.send?.({ received: received.times, acknowledged: acknowledged.times })
process.on('disconnect', () => process.exit())
