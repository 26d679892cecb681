import { answer, type Keys, RedisError } from '@conveyor/stream'
import type { Redis } from 'ioredis'
import { type Check, finding, note, ok } from './check.ts'

/** Whether the user that the URL names may do all that a producer and consumers do. Nothing is done for that. */
export async function checkPermissions(redis: Redis, keys: Keys): Promise<Check> {
  try {
    const user = (await answer(redis.call('ACL', 'WHOAMI'))) as string
    const tried = await Promise.all(
      needed(keys).map(async words => {
        const reply = await answer(redis.call('ACL', 'DRYRUN', user, ...words))
        return { command: words[0] as string, reply: String(reply) }
      }),
    )
    const denied = tried.filter(({ reply }) => reply !== 'OK')
    if (denied.length === 0) return ok('permissions', `user ${user} may do all that is needed`)
    const ofKeys = denied.filter(({ reply }) => reply.includes("' key"))
    const commands = denied.filter(one => !ofKeys.includes(one)).map(({ command }) => command)
    const rules = [
      ...new Set(commands.map(command => `+${command.toLowerCase()}`)),
      ...(ofKeys.length > 0 ? [`~${keys.stream}`, `~{${keys.stream}}:*`] : []),
    ]
    return finding(
      'permissions',
      `user ${user} may not do what is needed: ${denied[0]?.reply}`,
      `redis-cli ACL SETUSER ${user} ${rules.map(rule => (rule.startsWith('~') ? `'${rule}'` : rule)).join(' ')}`,
    )
  } catch (error) {
    if (!(error instanceof RedisError)) throw error
    return note('permissions', `not known: ${error.message}`)
  }
}

/** The commands that the scripts and the library use, each with a key that it is used on. */
function needed(keys: Keys): string[][] {
  const { stream, group, head, dead, sessions, beats, files, counts, retry, waiting } = keys
  return [
    ['EVAL', 'return 1', '1', stream],
    ['EVALSHA', '0'.repeat(40), '1', stream],
    ['INFO', 'server'],
    ['TIME'],
    ['TYPE', stream],
    ['EXISTS', stream],
    ['XADD', stream, '*', 'field', 'value'],
    ['XREADGROUP', 'GROUP', group, 'consumer', 'STREAMS', stream, '>'],
    ['XACK', stream, group, '0-1'],
    ['XPENDING', stream, group],
    ['XCLAIM', stream, group, 'consumer', '0', '0-1'],
    ['XRANGE', dead, '-', '+'],
    ['XLEN', dead],
    ['XDEL', dead, '0-1'],
    ['XTRIM', keys.output('consumer'), 'MAXLEN', '1'],
    ['XINFO', 'GROUPS', stream],
    ['XGROUP', 'CREATE', stream, group, '0'],
    ['HGET', head, 'field'],
    ['HMGET', head, 'field'],
    ['HKEYS', head],
    ['HEXISTS', head, 'field'],
    ['HSET', sessions, 'field', 'value'],
    ['HINCRBY', beats, 'field', '1'],
    ['HINCRBY', counts, 'field', '1'],
    ['HGETALL', files],
    ['HDEL', waiting, 'field'],
    ['ZADD', retry, '1', 'member'],
    ['ZRANGE', retry, '0', '0'],
    ['ZCARD', retry],
    ['ZREM', retry, 'member'],
    ['GET', keys.lane('process')],
    ['SET', keys.lane('process'), 'value'],
    ['UNLINK', keys.output('consumer')],
    ['RPUSH', keys.historyOf(1), 'value'],
    ['RPUSHX', keys.historyOf(1), 'value'],
    ['PEXPIRE', keys.historyOf(1), '1'],
  ]
}
