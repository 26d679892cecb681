import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Log } from './go.ts'

const run = promisify(execFile)
const PACKAGE = 'prometheus-redis-exporter'

/**
 * Finds the exporter: on the PATH, in the cache, or unpacks Debian's package there, which installs nothing and starts
 * no service. Undefined, and said, where none of this is possible.
 */
export async function findRedisExporter(cache: string, log: Log): Promise<string | undefined> {
  const kept = join(cache, PACKAGE, 'usr', 'bin', PACKAGE)
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  const names = folders.flatMap(folder => [join(folder, PACKAGE), join(folder, 'redis_exporter')])
  for (const path of [...names, kept]) if (await exists(path)) return path
  try {
    await unpack(cache)
    return kept
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    log(`${PACKAGE} is not there and cannot be unpacked (${reason}): what needs it is skipped`)
    return undefined
  }
}

async function unpack(cache: string): Promise<void> {
  await mkdir(cache, { recursive: true })
  const workshop = await mkdtemp(join(cache, `.${PACKAGE}-`))
  try {
    const download = () => run('apt-get', ['download', '-qq', PACKAGE], { cwd: workshop })
    // Its lists may never have been fetched.
    await download().catch(() => run('apt-get', ['update', '-qq']).then(download))
    const file = (await readdir(workshop)).find(name => name.endsWith('.deb')) ?? ''
    const folder = join(workshop, 'files')
    await run('dpkg-deb', ['-x', join(workshop, file), folder])
    await rename(folder, join(cache, PACKAGE))
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
