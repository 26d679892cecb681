import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { resolve } from 'node:path'
import { lockFile, releaseLock } from './lock.ts'

/** The exit code of a launch that could not create the lock file. */
export const NOT_LOCKED = 97

/**
 * Claims the folder, leaves a watchdog behind and becomes the server: $1 is the lock file, $2 the port,
 * the rest the server's command line. One shell does all three, so that no server runs without its lock
 * (`set -C` creates the file or fails) or without its watchdog, and so that $$ is the server's process id.
 *
 * Descriptor 3 is a pipe that this process alone holds open. A line on it tells the watchdog that the
 * server has ended; its end tells that this process has, however it died, and the server must follow.
 */
const LAUNCH = `
  lock=$1 port=$2
  shift 2
  set -C
  printf '{"pid":%d,"port":%d}\\n' $$ "$port" >"$lock" || exit ${NOT_LOCKED}
  (
    trap '' HUP INT TERM
    read -r ended <&3 && exit
    kill -TERM $$
    kill -CONT $$
    for second in 1 2 3 4 5 6 7 8 9 10; do
      sleep 1
      kill -0 $$ || exit
    done
    kill -KILL $$
  ) >/dev/null 2>&1 &
  exec "$@" 3<&-
`

export interface RedisExit {
  code: number | null
  signal: NodeJS.Signals | null
}

/**
 * Spawns a server in a process group of its own, with a lock in `dir` and a watchdog. Its output is
 * appended to `logFile`. When it has ended, whatever ended it, the watchdog goes and the lock with it.
 */
export function spawnServer(
  path: string,
  args: readonly string[],
  { dir, port, logFile }: { dir: string; port: number; logFile: string },
): { child: ChildProcess; exited: Promise<RedisExit> } {
  const output = openSync(logFile, 'a')
  const child = spawn(
    '/bin/sh',
    ['-c', LAUNCH, 'conveyor-redis', lockFile(dir), String(port), resolve(path), ...args],
    { detached: true, stdio: ['ignore', output, output, 'pipe'] },
  )
  closeSync(output)
  const lifeline = child.stdio[3] as Socket
  // The watchdog may be gone before it is told to go.
  lifeline.on('error', () => {})
  const exited = new Promise<RedisExit>(resolve => {
    child.once('error', () => resolve({ code: null, signal: null }))
    child.once('exit', (code, signal) => {
      lifeline.end('ended\n')
      releaseLock(dir, child.pid as number)
      resolve({ code, signal })
    })
  })
  return { child, exited }
}
