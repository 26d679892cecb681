import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { tempDir } from '../../tests/redis.ts'
import { freePort } from '../free-port.ts'

const program = fileURLToPath(new URL('../dist/database/pglite.js', import.meta.url))

interface Said {
  readonly ready?: true
  readonly takenBy?: { readonly pid: number; readonly port: number }
}

async function start(dir: string, port?: number): Promise<{ child: ChildProcess; said: Said; port: number }> {
  const at = port ?? (await freePort())
  const child = fork(program, [join(dir, 'data'), String(at)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [said] = await once(child, 'message')
  return { child, said: said as Said, port: at }
}

test('a second process in a folder is told of the first, and takes over when that has ended or was killed', async () => {
  const dir = await tempDir()
  const first = await start(dir)
  expect(first.said).toEqual({ ready: true })
  const second = await start(dir)
  expect(second.said.takenBy).toEqual({ pid: first.child.pid, port: first.port })

  // Its parent goes away: it ends, and whoever comes meanwhile waits for that.
  first.child.disconnect()
  const third = await start(dir)
  expect(third.said).toEqual({ ready: true })
  expect(first.child.exitCode).toBe(0)

  third.child.kill('SIGKILL')
  await once(third.child, 'exit')
  expect((await start(dir)).said).toEqual({ ready: true })
}, 120_000)

test('a lock whose process number belongs to somebody else is none', async () => {
  const dir = await tempDir()
  writeFileSync(join(dir, 'data.json'), JSON.stringify({ pid: process.ppid, port: 1 }))
  const { child, said } = await start(dir)
  expect(said).toEqual({ ready: true })
  expect(JSON.parse(readFileSync(join(dir, 'data.json'), 'utf8')).pid).toBe(child.pid)
}, 120_000)
