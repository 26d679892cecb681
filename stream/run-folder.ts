import { randomBytes } from 'node:crypto'
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  symlink,
  unlink,
} from 'node:fs/promises'
import { join } from 'node:path'
import type { Keys } from './keys.ts'

/**
 * Where the output files of one life of the stream are. Files are born in `runs/<epoch>/`; the names that
 * people use, `<directory>/consumer_<id>.txt`, are links to the current run's files. Nothing is ever
 * moved or overwritten, so a process left over from an earlier life can only touch its own run's files.
 */
export interface RunFolder {
  readonly directory: string
  readonly epoch: string
  /** Path of a consumer's file in this run. */
  file(consumer: string): string
  /** Path of the link to it. */
  link(consumer: string): string
}

/** The output directory cannot be used, and waiting will not change that. */
export class OutputRefused extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'OutputRefused'
  }
}

export function runFolder(directory: string, epoch: string): RunFolder {
  return {
    directory,
    epoch,
    file: consumer => join(directory, 'runs', epoch, `consumer_${consumer}.txt`),
    link: consumer => join(directory, `consumer_${consumer}.txt`),
  }
}

/**
 * Makes the folder of a run and removes links into other runs. A directory belongs to one stream and
 * group, because two would write files of the same names; {@link OutputRefused} says whose it is.
 */
export async function prepareRunFolder(run: RunFolder, keys: Keys): Promise<void> {
  const folder = join(run.directory, 'runs', run.epoch)
  await mkdir(join(run.directory, 'runs'), { recursive: true })
  await claimDirectory(run.directory, `${keys.stream} ${keys.group}`)
  await mkdir(folder, { recursive: true })
  for (const name of await readdir(run.directory)) {
    if (!/^consumer_.*\.txt$/.test(name)) continue
    const path = join(run.directory, name)
    const target = await readlink(path).catch(() => undefined)
    if (target?.startsWith('runs/') && !target.startsWith(`runs/${run.epoch}/`))
      await unlink(path).catch(ignoreMissing)
  }
  for (const path of [folder, join(run.directory, 'runs'), run.directory]) await syncDirectory(path)
}

/** Points `consumer_<id>.txt` at this run's file, if it does not yet, and makes that last a power cut. */
export async function linkOutput(run: RunFolder, consumer: string): Promise<void> {
  const path = run.link(consumer)
  const target = `runs/${run.epoch}/consumer_${consumer}.txt`
  const stat = await lstat(path).catch(() => undefined)
  if (stat && !stat.isSymbolicLink()) {
    throw new OutputRefused(`${path} is a file of its own, not a link into runs/: move it away`)
  }
  if (stat && (await readlink(path).catch(() => '')) === target) return
  const temporary = join(run.directory, `.link-${randomBytes(6).toString('hex')}`)
  await symlink(target, temporary)
  await rename(temporary, path)
  await syncDirectory(run.directory)
}

/** Makes the names in a folder last a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r')
    await handle.sync()
  } finally {
    await handle?.close()
  }
}

/** Marks a directory as a stream's and group's, by a link that leads nowhere: it is there at once with what it says. */
async function claimDirectory(directory: string, owner: string): Promise<void> {
  const found = await ownerOf(directory)
  if (found === owner) return
  if (found === undefined) {
    await symlink(owner, ownerMark(directory)).catch(error => {
      if (error.code !== 'EEXIST') throw error
    })
    return claimDirectory(directory, owner)
  }
  const [stream, group] = found.split(' ')
  throw new OutputRefused(
    `output directory ${directory} belongs to group ${group} of stream ${stream}: choose another directory`,
  )
}

const ownerMark = (directory: string) => join(directory, 'runs', '.owner')

/**
 * The stream and group that a directory belongs to, `<stream> <group>`; undefined when it belongs to nobody yet.
 * Throws {@link OutputRefused} when something else is in the mark's place, or a system error.
 */
export async function ownerOf(directory: string): Promise<string | undefined> {
  try {
    return await readlink(ownerMark(directory))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code !== 'EINVAL') throw error
    throw new OutputRefused(`${ownerMark(directory)} is not a link, as Conveyor makes it: move it away`)
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
