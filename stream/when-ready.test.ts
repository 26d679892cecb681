import { expect, test } from 'vitest'
import { whenReady } from './when-ready.ts'

const never = () => undefined

test('it tries again until it succeeds, and says once that it waits', async () => {
  let attempts = 0
  const said: string[] = []
  const prepare = async () => {
    if (++attempts < 4) throw new Error(`no ${attempts}`)
  }
  const { signal } = new AbortController()
  const away = ({ message }: Error) => void said.push(message)
  expect(await whenReady(prepare, { refusal: never, away, signal })).toBe(true)
  expect(attempts).toBe(4)
  expect(said).toEqual(['no 1'])
})

test('what waiting does not mend ends it', async () => {
  const refusal = (error: unknown) => new Error(`final: ${(error as Error).message}`)
  const { signal } = new AbortController()
  const prepare = () => Promise.reject(new Error('wrong password'))
  await expect(whenReady(prepare, { refusal, away: never, signal })).rejects.toThrow('final: wrong password')
})

test('it gives up when it is told to, before, while and between attempts', async () => {
  const options = (signal: AbortSignal) => ({ refusal: never, away: never, signal })
  expect(await whenReady(async () => {}, options(AbortSignal.abort()))).toBe(false)
  const whileAt = new AbortController()
  const failing = async () => {
    whileAt.abort()
    throw new Error('no')
  }
  expect(await whenReady(failing, options(whileAt.signal))).toBe(false)
  const between = new AbortController()
  const away = () => between.abort()
  const rejecting = () => Promise.reject(new Error('no'))
  expect(await whenReady(rejecting, { refusal: never, away, signal: between.signal })).toBe(false)
})
