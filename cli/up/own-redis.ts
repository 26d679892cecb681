import { resolve } from 'node:path'
import { findRedisServer, RedisInUse, type RedisProcess, startRedis } from '@conveyor/redis'

export interface OwnRedis {
  readonly url: string
  /** For people: where it is and what it is. */
  readonly label: string
  stop(): Promise<void>
  /** Ends it by SIGKILL; it is started again. Undefined for one that was running already. */
  readonly restart?: () => void
}

/**
 * A Redis of the project's own, with its data under `.conveyor/redis`: found or installed, started, and
 * started again on the same data and port when it dies. When one is running there already, it is joined.
 */
export async function ownRedis(say: (text: string) => void): Promise<OwnRedis> {
  const binary = await findRedisServer({ log: say })
  const dir = resolve('.conveyor/redis')
  let stopping = false
  let server: RedisProcess
  try {
    server = await startRedis({ path: binary.path, dir, log: say })
  } catch (error) {
    if (!(error instanceof RedisInUse)) throw error
    return { url: error.url, label: `${error.url} (running already)`, stop: async () => {} }
  }
  const { port, url, version } = server
  const watch = () => {
    void server.exited.then(async ({ code, signal }) => {
      if (stopping) return
      say(`Redis ended (${signal ?? `exit code ${code}`}): starting it again`)
      try {
        server = await startRedis({ path: binary.path, dir, port, log: say })
        watch()
      } catch (error) {
        say(`Redis cannot be started again: ${(error as Error).message}`)
      }
    })
  }
  watch()
  return {
    url,
    label: `${url} (own, ${binary.kind} ${version})`,
    restart: () => process.kill(server.pid, 'SIGKILL'),
    stop: async () => {
      stopping = true
      await server.stop()
    },
  }
}
