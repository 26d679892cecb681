// A consumer that does no more than the guarantee that is measured: each level does what those below it do, and one
// thing more. Arguments: Redis URL, stream, group, level, output file.
import { open } from 'node:fs/promises'
import { Redis } from 'ioredis'

const LEVELS = ['read', 'ack', 'fence', 'file', 'sync'] as const

/** Acknowledges what is pending for the caller, if its token is still the one that counts. */
const SETTLE = `
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return redis.error_reply('FENCED') end
local rows, ids = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[4], ARGV[5], ARGV[6], ARGV[2]), {}
for i = 1, #rows do ids[i] = rows[i][1] end
if table.concat(ids, ' ') ~= ARGV[7] then return redis.error_reply('FENCED') end
return redis.call('XACK', KEYS[1], ARGV[1], unpack(ids))`

const [url, stream, group, level, path] = process.argv.slice(2) as [
  string,
  string,
  string,
  (typeof LEVELS)[number],
  string,
]
const does = (wanted: (typeof LEVELS)[number]) => LEVELS.indexOf(level) >= LEVELS.indexOf(wanted)
const redis = new Redis(url)
const token = `${stream}:${group}:token`
await redis.set(token, 'mine')
redis.defineCommand('settle', { numberOfKeys: 2, lua: SETTLE })
const settle = (redis as unknown as { settle(...args: (string | number)[]): Promise<void> }).settle.bind(
  redis,
)
const file = does('file') ? await open(path, 'a') : undefined
const from = ['GROUP', group, 'loop', 'COUNT', 500, 'BLOCK', 500] as const
for (;;) {
  const reply = (await (does('ack')
    ? redis.xreadgroup(...from, 'STREAMS', stream, '>')
    : redis.xreadgroup(...from, 'NOACK', 'STREAMS', stream, '>'))) as [string, [string, string[]][]][] | null
  if (!reply) continue
  const entries = reply[0]?.[1] ?? []
  const ids: string[] = []
  let lines = ''
  for (const [id, fields] of entries) {
    const { timestamp_producer: time, payload } = JSON.parse(fields[1] as string)
    if (payload.package < 1) throw new Error(id)
    ids.push(id)
    if (file) lines += `Consumer loop processed package ${payload.package} (timestamp: ${time})\n`
  }
  const [first, last] = [ids[0] as string, ids.at(-1) as string]
  if (does('fence'))
    await settle(stream, token, group, 'loop', 'mine', first, last, ids.length, ids.join(' '))
  else if (does('ack')) await redis.xack(stream, group, ...ids)
  await file?.write(lines)
  if (does('sync')) await file?.datasync()
}
