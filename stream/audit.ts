import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, open, readdir, rename, stat, truncate, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { answer } from './connection.ts'
import type { Events } from './events.ts'
import type { Keys } from './keys.ts'
import { type RunFolder, syncDirectory } from './run-folder.ts'
import { Script } from './scripts.ts'

const audited = new Script<number>('audited')

/**
 * Compares a run's output files with what Redis knows, after the server has restarted or failed over and
 * before anything is committed there. A server that does not sync every write (`appendfsync always`) may
 * have forgotten its last moments; a file that is longer than Redis knows is then cut back to the part
 * that both agree on, and the packages of the rest are given out again.
 *
 * A cut makes a copy and renames it over: the old file stays in `rollback/` beside it, and whoever still
 * writes to it writes there. Several consumers may audit at the same time: the first to link its copy
 * under a name made of file and server run decides, and the others finish its work.
 *
 * @returns false when the server or the epoch changed meanwhile: look again
 */
export async function audit(
  redis: Redis,
  keys: Keys,
  run: RunFolder,
  serverRun: string,
  events?: Events,
): Promise<boolean> {
  const folder = join(run.directory, 'runs', run.epoch)
  for (const name of await readdir(folder)) {
    const consumer = /^consumer_([A-Za-z0-9_-]{1,64})\.txt$/.exec(name)?.[1]
    if (!consumer) continue
    const path = join(folder, name)
    const { size } = await stat(path) // before Redis: what was in the file by now, Redis knew before
    const agreed = Number((await answer(redis.hget(keys.files, consumer))) ?? 0)
    if (size <= agreed) continue
    const kept = await cutBack(folder, name, agreed, serverRun)
    events?.next({ type: 'outputCut', consumer, from: size, to: agreed, kept })
  }
  return (await audited.run(redis, [keys.head], [run.epoch, serverRun])) === 1
}

async function cutBack(folder: string, name: string, length: number, serverRun: string): Promise<string> {
  const path = join(folder, name)
  const rollback = join(folder, 'rollback')
  const decided = join(rollback, `${serverRun}-agreed-${name}`)
  const kept = join(rollback, `${serverRun}-longer-${name}`)
  // Process ids repeat: in every container, and for consumers of one process.
  const own = join(rollback, `${serverRun}-${randomBytes(6).toString('hex')}-${name}`)
  await mkdir(rollback, { recursive: true })

  await copyFile(path, own, constants.COPYFILE_FICLONE)
  await truncate(own, length)
  const handle = await open(own, 'r+')
  await handle.sync()
  await handle.close()
  // If the file is no longer the longer one, somebody else has finished meanwhile.
  await link(own, decided).catch(ignoreExisting)
  await unlink(own)
  if ((await stat(path)).ino !== (await stat(decided)).ino) {
    await link(path, kept).catch(ignoreExisting)
    await link(decided, own)
    await rename(own, path)
    await unlink(own).catch(() => {}) // rename leaves the old name when both are one file already
  }
  await syncDirectory(rollback)
  await syncDirectory(folder)
  return kept
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
