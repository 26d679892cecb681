import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Bench, bench, done, newName, settle, until, useRedis } from '../tests/redis.ts'
import type { Session } from './session.ts'
import { isSystemError, writeOutput } from './write.ts'

const on = useRedis()
const root = process.getuid?.() === 0

/** Runs the writing of a session until the test ends. */
function writing(session: Session) {
  const state = { error: undefined as unknown }
  const subscription = writeOutput(session).subscribe({ error: error => (state.error = error) })
  onTestFinished(() => subscription.unsubscribe())
  return state
}
async function commitLines(b: Bench, session: Session, count: number, text = 'line'): Promise<string> {
  const entries = await b.fill(count)
  await b.receive('a', count)
  await settle(
    session,
    done(entries, entry => `${text} of ${entry}`),
  )
  return entries.map(entry => `${text} of ${entry}\n`).join('')
}

/** A directory on a disk of its own that holds `size`. */
async function smallDisk(size: string): Promise<{ path: string; remount(options: string): boolean }> {
  const path = await mkdtemp(join(tmpdir(), 'conveyor-test-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
  onTestFinished(async () => {
    execFileSync('umount', ['-l', path])
    await rm(path, { recursive: true, force: true })
  })
  const remount = (options: string) => spawnSync('mount', ['-o', `remount,${options}`, path]).status === 0
  return { path, remount }
}

test('what is committed is on disk soon, without anybody asking', async () => {
  const b = await bench(on)
  const session = await b.open('a')
  const { error } = writing(session)
  let text = ''
  for (let i = 0; i < 5; i++) {
    text += await commitLines(b, session, 3)
    await until(() => session.unflushed === 0, 'all is on disk')
    expect(await b.file('a')).toBe(text)
  }
  expect(error).toBeUndefined()
  expect(b.of('flushed').at(-1)).toMatchObject({ consumer: 'a', to: text.length })
  await until(() => session.forgotten === session.committed, 'Redis has been told')
  expect(await b.redis.xlen(b.keys.output('a'))).toBe(0)
})

test('a link that somebody removed comes back, also when nothing is written', async () => {
  const b = await bench(on)
  const session = await b.open('a')
  writing(session)
  const text = await commitLines(b, session, 1)
  await until(() => session.unflushed === 0, 'all is on disk')
  await rm(join(b.directory, 'consumer_a.txt'))
  await until(() => b.file('a').catch(() => ''), 'the link is back')
  expect(await b.file('a')).toBe(text)
})

test('a damaged file ends the consumer, also when nothing is written', async () => {
  const b = await bench(on)
  const session = await b.open('a')
  const state = writing(session)
  await commitLines(b, session, 1)
  await until(() => session.unflushed === 0, 'all is on disk')
  await rm(session.run?.file('a') as string)
  await until(() => state.error, 'an error')
  expect(state.error).toMatchObject({ name: 'OutputDamaged', kind: 'replaced' })
})

test('without a directory there is nothing to write, and nothing is kept for it', async () => {
  const b = await bench(on)
  const { outputDirectory: _, ...options } = b.options('a')
  const { openSession } = await import('./session.ts')
  const session = await openSession(options)
  onTestFinished(() => session.dispose())
  writing(session)
  await commitLines(b, session, 3)
  expect([session.unflushed, await b.redis.exists(b.keys.files, b.keys.output('a'))]).toEqual([0, 0])
  expect(await b.count('done:a')).toBe(3)
})

test.runIf(root)(
  'on a full disk the output waits in Redis, reading stops, and nothing is lost when there is room',
  async () => {
    const disk = await smallDisk('64k')
    const b = new Bench(on.server.url, on.redis, disk.path, ['workers'], newName())
    const session = await b.open('a', { maxUnflushed: 50_000 })
    const state = writing(session)
    const text = await commitLines(b, session, 4, 'x'.repeat(40_000))
    await until(() => b.of('outputBlocked').length > 0, 'the disk is full')
    expect(b.of('outputBlocked')[0]?.error).toMatchObject({ code: 'ENOSPC' })
    expect(session.held.room).toBe(0)
    expect(await b.redis.xlen(b.keys.output('a'))).toBeGreaterThan(0)
    expect(disk.remount('size=1m')).toBe(true)
    await until(() => session.unflushed === 0, 'all is on disk')
    expect(await b.file('a')).toBe(text)
    await until(() => b.of('outputResumed').length === 1, 'it is said that output is written again')
    expect(b.of('outputBlocked')).toHaveLength(1)
    expect(state.error).toBeUndefined()
    expect(session.held.room).toBeGreaterThan(0)
  },
)

test.runIf(root)('a disk that becomes read-only is waited for', async () => {
  const disk = await smallDisk('1m')
  const b = new Bench(on.server.url, on.redis, disk.path, ['workers'], newName())
  const session = await b.open('a')
  const state = writing(session)
  let text = await commitLines(b, session, 1)
  await until(() => session.unflushed === 0, 'all is on disk')
  // A file that is open for writing keeps a disk writable, and whoever looks after the link may open it again.
  await until(async () => {
    await session.writer?.close()
    return disk.remount('ro')
  }, 'the disk is read-only')
  text += await commitLines(b, session, 1)
  await until(() => b.of('outputBlocked').length > 0, 'the disk is read-only')
  expect(disk.remount('rw')).toBe(true)
  await until(() => session.unflushed === 0, 'all is on disk')
  expect(await b.file('a')).toBe(text)
  expect(state.error).toBeUndefined()
})

test('errors of the system are told from others', async () => {
  const error = await writeFile('/nonexistent/file', '').catch(found => found)
  expect(isSystemError(error)).toBe(true)
  expect(isSystemError(new Error('ENOSPC'))).toBe(false)
  expect(isSystemError({ syscall: 'write' })).toBe(false)
})
