import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { bench, done, settle, useRedis } from '../tests/redis.ts'
import { forget } from './forget.ts'
import { openStream } from './open.ts'

const on = useRedis()

test('everything about the stream is gone from Redis, and its files stay', async () => {
  const b = await bench(on, ['workers', 'auditors'])
  const entries = await b.fill(3)
  const session = await b.open('a')
  await b.receive('a', 3)
  await settle(session, [
    ...done(entries.slice(1)),
    { entry: entries[0] as string, kind: 'dead', reason: 'x', detail: '' },
  ])
  await session.writer?.flush()
  await forget(b.redis, b.keys)
  const left = await b.redis.keys(`*${b.keys.stream}*`)
  expect(left.filter(key => !key.startsWith(b.keys.lane('')))).toEqual([]) // lanes expire by themselves
  const text = entries
    .slice(1)
    .map(entry => `line of ${entry}\n`)
    .join('')
  expect(await readFile(session.run?.file('a') as string, 'utf8')).toBe(text)
})

test('the next to open begins a new life, and who is left of the old one is fenced', async () => {
  const b = await bench(on)
  const entries = await b.fill(1)
  const session = await b.open('a')
  await b.receive('a', 1)
  await forget(b.redis, b.keys)
  const { epoch, sequence, created } = await openStream(b.redis, b.keys, ['workers'])
  expect([sequence, created]).toEqual([0, true])
  expect(epoch).not.toBe(session.epoch)
  await expect(settle(session, done(entries))).rejects.toMatchObject({ code: 'FENCED' })
  await expect(session.writer?.flush()).rejects.toMatchObject({ code: 'EPOCH' })
})

test('other streams are not touched, also those whose names begin or end the same', async () => {
  const b = await bench(on)
  await b.fill(1)
  const { stream } = b.keys
  const others = [`${stream}x`, `x${stream}`, `{${stream}x}:head`, `{x${stream}}:head`]
  for (const name of others) await b.redis.set(name, 'kept')
  await forget(b.redis, b.keys)
  expect(await b.redis.exists(...others)).toBe(others.length)
})

test('what a consumer commits while it is being forgotten is no part of the new life', async () => {
  const b = await bench(on)
  const entries = await b.fill(1)
  const session = await b.open('a')
  await b.receive('a', 1)
  // The first commit ever comes after the keys were looked for and before they are deleted.
  const redis = new Proxy(b.redis, {
    get(target, name) {
      const value = Reflect.get(target, name)
      if (name !== 'unlink') return typeof value === 'function' ? value.bind(target) : value
      return async (...names: string[]) => {
        await settle(session, done(entries)).catch(() => {})
        return target.unlink(...names)
      }
    },
  })
  await forget(redis, b.keys)
  const next = await b.open('a')
  expect(next.epoch).not.toBe(session.epoch)
  expect(next.committed).toBe(0)
})
