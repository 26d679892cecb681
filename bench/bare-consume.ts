// The least that a consumer can do: read 500, parse, acknowledge. No fence, no file.
// Arguments: Redis URL, stream, group.
import { Redis } from 'ioredis'

const [url, stream, group] = process.argv.slice(2) as [string, string, string]
const redis = new Redis(url)
for (;;) {
  const reply = (await redis.xreadgroup(
    'GROUP',
    group,
    'bare',
    'COUNT',
    500,
    'BLOCK',
    500,
    'STREAMS',
    stream,
    '>',
  )) as [string, [string, string[]][]][] | null
  if (!reply) continue
  const ids: string[] = []
  for (const [id, fields] of reply[0]?.[1] ?? []) {
    if (JSON.parse(fields[1] as string).payload.package < 1) throw new Error(id)
    ids.push(id)
  }
  await redis.xack(stream, group, ...ids)
}
