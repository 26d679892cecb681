import type { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { bench, done, settle, useRedis } from '../tests/redis.ts'
import { OutputWriter } from './output.ts'

const on = useRedis()

test('a commit between the look at an empty log and the opening of the file is no damage', async () => {
  const b = await bench(on)
  const entries = await b.fill(2)
  const first = await b.open('a')
  await b.receive('a', 2)
  await settle(first, done(entries.slice(0, 1)))
  await first.writer?.flush()
  first.dispose()

  const session = await b.open('a', {}, first.token)
  let looks = 0
  const redis = new Proxy(session.logs, {
    get(target, name) {
      const value = Reflect.get(target, name)
      if (name !== 'callBuffer') return typeof value === 'function' ? value.bind(target) : value
      return async (...args: Parameters<Redis['callBuffer']>) => {
        const reply = await target.callBuffer(...args)
        if (++looks === 1) await settle(session, done(entries.slice(1)))
        return reply
      }
    },
  })
  const writer = new OutputWriter(redis, b.keys, session.run as never, 'a')
  await writer.flush()
  await writer.close()
  expect(await b.file('a')).toBe(`line of ${entries[0]}\nline of ${entries[1]}\n`)
})
