import { lstat, mkdtemp, readdir, readlink, rmdir, stat, statfs } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type Keys, ownerOf, type StreamState } from '@conveyor/stream'
import { type Check, finding, note, ok } from './check.ts'
import { bytes, count } from './units.ts'

/** The directory of the output files, as far as it can be seen from here. `state` when Redis could be asked. */
export async function checkOutput(directory: string, keys: Keys, state?: StreamState): Promise<Check[]> {
  const path = resolve(directory)
  const found = await stat(path).catch(() => undefined)
  if (!found) return [note('output', `${path} is not there yet`), ...(await checkDisk(path))]
  if (!found.isDirectory()) {
    return [finding('output', `${path} is not a directory`, 'choose another --output-dir')]
  }
  const written = await checkWritable(path)
  if (written.status === 'finding') return [written]
  return [
    written,
    ...(await checkDisk(path)),
    await checkOwner(path, keys),
    await checkLinks(path),
    ...(state?.epoch === undefined ? [] : [await checkFiles(join(path, 'runs', state.epoch), state)]),
  ]
}

/** Makes and removes an empty folder: permissions alone do not tell a read-only or full disk. */
async function checkWritable(path: string): Promise<Check> {
  try {
    await rmdir(await mkdtemp(join(path, '.doctor-')))
    return ok('output', `${path} is writable`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return finding('output', `${path} cannot be written (${code})`, 'mend its permissions or its disk')
  }
}

/** Free bytes below which it is about to end. */
const LITTLE = 100_000_000

/** Linux' numbers of file systems, those that are met. */
const LOCAL = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0x794c7630, 'overlay'],
])
const IN_MEMORY = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
])
const REMOTE = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9p'],
  [0x00c36400, 'Ceph'],
  [0x65735546, 'FUSE'],
])

async function checkDisk(path: string): Promise<Check[]> {
  const there = await nearest(path)
  const { type, bavail, bsize } = await statfs(there)
  const free = bavail * bsize
  const room = `${bytes(free)} free`
  return [
    free < LITTLE
      ? finding('disk', `only ${room}`, 'make room: consumers stop reading when the disk is full')
      : ok('disk', room),
    checkFileSystem(process.platform === 'linux' ? type >>> 0 : undefined),
  ]
}

/** @param type Linux' number; undefined elsewhere */
export function checkFileSystem(type: number | undefined): Check {
  if (type === undefined) return note('file system', 'not known')
  const remote = REMOTE.get(type)
  if (remote) {
    const fix = 'choose an --output-dir on a local disk, for all consumers on one host'
    return finding('file system', `${remote}: network file systems are not promised`, fix)
  }
  const memory = IN_MEMORY.get(type)
  if (memory) return note('file system', `${memory}: the files are gone when the machine restarts`)
  return ok('file system', LOCAL.get(type) ?? `type 0x${type.toString(16)}`)
}

/** The path, or what is there of it. */
async function nearest(path: string): Promise<string> {
  return (await stat(path).catch(() => undefined)) ? path : nearest(dirname(path))
}

async function checkOwner(path: string, { stream, group }: Keys): Promise<Check> {
  const owner = await ownerOf(path).catch((error: Error) => error)
  if (owner instanceof Error)
    return finding('owner', owner.message, 'consumers refuse the directory as it is')
  if (owner === undefined) return ok('owner', 'belongs to nobody yet')
  const [ofStream, ofGroup] = owner.split(' ')
  if (ofStream === stream && ofGroup === group) return ok('owner', `belongs to group ${group} of ${stream}`)
  return finding(
    'owner',
    `belongs to group ${ofGroup} of stream ${ofStream}: consumers of others refuse it`,
    'choose another --output-dir, or the --stream and --group that it belongs to',
  )
}

async function checkLinks(path: string): Promise<Check> {
  const names = (await readdir(path)).filter(name => /^consumer_.*\.txt$/.test(name))
  const wrong = (await Promise.all(names.map(name => wrongLink(join(path, name))))).filter(
    one => one !== undefined,
  )
  if (wrong.length === 0) return ok('links', `${names.length} to the files of consumers`)
  return finding('links', wrong.join('; '), 'move them away: consumers make them again from runs/')
}

async function wrongLink(path: string): Promise<string | undefined> {
  if (!(await lstat(path)).isSymbolicLink()) return `${path} is a file of its own`
  const target = await readlink(path)
  if (!target.startsWith('runs/')) return `${path} points out of the directory, to ${target}`
  return (await stat(path).catch(() => undefined)) ? undefined : `${path} points to ${target}, which is gone`
}

/** Whether the files of this run hold what Redis was told is on disk. */
async function checkFiles(folder: string, { consumers }: StreamState): Promise<Check> {
  const writers = consumers.filter(({ output }) => output > 0)
  if (writers.length > 0 && !(await stat(folder).catch(() => undefined))) {
    return note('files', `${folder} is not there: consumers write on another host or to another directory`)
  }
  const short: string[] = []
  for (const { id, output, unflushed } of writers) {
    const size = (await stat(join(folder, `consumer_${id}.txt`)).catch(() => undefined))?.size ?? 0
    const missing = output - unflushed - size
    if (missing > 0) short.push(`consumer_${id}.txt lacks ${count(missing)} bytes`)
  }
  if (short.length === 0) return ok('files', `${writers.length} as long as Redis knows`)
  return finding(
    'files',
    `${short.join('; ')} that were on disk`,
    `restore them in ${folder} from a backup; conveyor validate says which packages are missing`,
  )
}
