// The least that a producer can do: one script that appends 500 numbered entries, again and again.
// Arguments: Redis URL, stream.
import { Redis } from 'ioredis'

const APPEND = `
local first = redis.call('INCRBY', KEYS[2], 500) - 499
for n = first, first + 499 do
  redis.call('XADD', KEYS[1], '*', 'data', '{"timestamp_producer":' .. ARGV[1] .. ',"payload":{"package":' .. n .. '}}')
end`

const [url, stream] = process.argv.slice(2) as [string, string]
const redis = new Redis(url)
redis.defineCommand('append', { numberOfKeys: 2, lua: APPEND })
const append = (redis as unknown as { append(...args: (string | number)[]): Promise<void> }).append.bind(
  redis,
)
for (;;) await append(stream, `${stream}:sequence`, Math.floor(Date.now() / 1000))
