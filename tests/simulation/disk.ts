import { constants } from 'node:fs'
import { dirname } from 'node:path'
import { current } from './world.ts'

/*
 * A disk in memory that knows what would survive a power cut: bytes that were synced, and names in folders that were
 * synced. The calls are steps, and can fail.
 */

class Node {
  data = Buffer.alloc(0)
  /** What a power cut leaves of it. */
  disk = Buffer.alloc(0)
  /** Writes since the last sync. */
  dirty: { offset: number; bytes: Buffer }[] = []
  /** How often what was written could not be synced. */
  failures = 0

  constructor(
    readonly number: number,
    readonly kind: 'file' | 'folder' | 'link',
    readonly target = '',
  ) {}
}

export interface DiskFault {
  /** Whose calls fail. */
  readonly process: unknown
  readonly call: string
  readonly code: string
  times: number
}

export class Disk {
  private names = new Map<string, Node>()
  /** The names that survive a power cut. */
  private kept = new Map<string, Node>()
  private numbers = 1
  faults: DiskFault[] = []

  constructor() {
    this.add('/out', 'folder')
    this.sync('/')
  }

  /** Text of a file as a power cut would leave it; undefined when there is none. */
  survivor(path: string): string | undefined {
    return this.kept.get(path)?.disk.toString('latin1')
  }

  files(folder: string): string[] {
    return [...this.kept].flatMap(([path, { kind }]) =>
      kind === 'file' && dirname(path) === folder ? [path] : [],
    )
  }

  /** What was not synced is there afterwards, or not, or, of bytes, nothing but their length. */
  powerCut(random: () => number): void {
    const names = new Map<string, Node>()
    for (const path of [...new Set([...this.kept.keys(), ...this.names.keys()])].sort()) {
      const node = random() < 0.5 ? this.kept.get(path) : this.names.get(path)
      if (node && (dirname(path) === '/' || names.has(dirname(path)))) names.set(path, node)
    }
    for (const node of names.values()) {
      for (const { offset, bytes } of node.dirty) {
        const chance = random()
        if (chance < 0.4) node.disk = overwrite(node.disk, bytes, offset)
        else if (chance < 0.6) node.disk = overwrite(node.disk, Buffer.alloc(bytes.length), offset)
      }
      node.dirty = []
      node.data = node.disk
    }
    this.names = names
    this.kept = new Map(names)
  }

  get(path: string, call: string): Node {
    const node = this.names.get(path)
    if (!node) throw failure('ENOENT', call, path)
    return node
  }

  has(path: string): boolean {
    return this.names.has(path)
  }

  add(path: string, kind: Node['kind'], target = ''): Node {
    const node = new Node(this.numbers++, kind, target)
    this.names.set(path, node)
    return node
  }

  remove(path: string): void {
    this.names.delete(path)
  }

  rename(from: string, to: string): void {
    this.names.set(to, this.get(from, 'rename'))
    this.names.delete(from)
  }

  in(folder: string): string[] {
    const names = [...this.names.keys()].filter(path => dirname(path) === folder)
    return names.map(path => path.slice(folder.length + 1)).sort()
  }

  /** Makes the names in a folder survive. */
  sync(folder: string): void {
    for (const path of this.kept.keys()) if (dirname(path) === folder) this.kept.delete(path)
    for (const [path, node] of this.names) if (dirname(path) === folder) this.kept.set(path, node)
  }

  /** The error that a call is to fail with. */
  faultOf(call: string): string | undefined {
    const fault = this.faults.find(one => one.process === current() && one.call === call && one.times > 0)
    if (fault) fault.times--
    return fault?.code
  }
}

/** An open file. */
class Handle {
  /** The failures that it was told of, or that were before it. */
  private told: number

  constructor(
    private readonly disk: Disk,
    private readonly node: Node,
    private readonly path: string,
  ) {
    this.told = node.failures
  }

  stat() {
    return step('fstat', this.path, () => statOf(this.node))
  }

  write(bytes: Buffer, from: number, length: number, offset: number) {
    return step('write', this.path, code => {
      const written = code === 'SHORT' ? Math.ceil(length / 2) : length
      const part = Buffer.from(bytes.subarray(from, from + written))
      this.node.data = overwrite(this.node.data, part, offset)
      this.node.dirty.push({ offset, bytes: part })
      return { bytesWritten: written }
    })
  }

  read(into: Buffer, at: number, length: number, offset: number) {
    return step('read', this.path, () => {
      const bytesRead = this.node.data.copy(into, at, offset, offset + length)
      return { buffer: into, bytesRead }
    })
  }

  datasync() {
    return this.sync('datasync')
  }

  sync(call = 'sync') {
    return step(call, this.path, code => {
      const { node } = this
      const { dirty } = node
      node.dirty = []
      // After an error the system takes what was written for clean, and never tries again; but it tells everybody who had
      // the file open, once each: https://docs.kernel.org/filesystems/vfs.html, "Handling errors during writeback".
      if (code) node.failures++
      if (this.told < node.failures) {
        this.told = node.failures
        throw failure(code ?? 'EIO', call, this.path)
      }
      if (node.kind === 'folder') this.disk.sync(this.path)
      for (const { offset, bytes } of dirty) node.disk = overwrite(node.disk, bytes, offset)
    })
  }

  close() {
    return step('close', this.path, () => {})
  }
}

function overwrite(data: Buffer, bytes: Buffer, offset: number): Buffer<ArrayBuffer> {
  const result = Buffer.alloc(Math.max(data.length, offset + bytes.length))
  data.copy(result)
  bytes.copy(result, offset)
  return result
}

function statOf(node: Node) {
  return {
    ino: BigInt(node.number),
    size: node.data.length,
    isSymbolicLink: () => node.kind === 'link',
  }
}

function failure(code: string, syscall: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path })
}

/** Calls that say themselves how they fail. */
const OWN = new Set(['SHORT'])

function step<T>(call: string, path: string, run: (code?: string) => T): Promise<T> {
  const process = current()
  if (!process) throw new Error(`${call} outside of every process`)
  const name = path.split('/').at(-1)
  return process.call(`${call} ${name?.startsWith('.link-') ? '.link' : name}`, () => {
    const code = disks.get(process.world)?.faultOf(call)
    if (code && !OWN.has(code) && !call.endsWith('sync')) throw failure(code, call, path)
    return run(code)
  })
}

const disks = new WeakMap<object, Disk>()

export function mount(world: object): Disk {
  const disk = new Disk()
  disks.set(world, disk)
  return disk
}

type Files = typeof import('node:fs/promises')

/** `node:fs/promises`, as far as output files need it, on the disk of the process' world. */
export function virtualFiles(actual: Files) {
  const calls = {
    open: (path: string, flags: string | number) =>
      step('open', path, () => {
        const disk = disk_()
        const create = typeof flags === 'number' && (flags & constants.O_CREAT) !== 0
        const node = create && !disk.has(path) ? disk.add(path, 'file') : disk.get(path, 'open')
        return new Handle(disk, node, path)
      }),
    stat: (path: string) => step('stat', path, () => statOf(disk_().get(path, 'stat'))),
    lstat: (path: string) => step('lstat', path, () => statOf(disk_().get(path, 'lstat'))),
    mkdir: (path: string) =>
      step('mkdir', path, () => {
        for (const folder of [dirname(path), path]) if (!disk_().has(folder)) disk_().add(folder, 'folder')
      }),
    readdir: (path: string) =>
      step('readdir', path, () => {
        disk_().get(path, 'readdir')
        return disk_().in(path)
      }),
    readlink: (path: string) => step('readlink', path, () => disk_().get(path, 'readlink').target),
    rename: (from: string, to: string) => step('rename', to, () => disk_().rename(from, to)),
    symlink: (target: string, path: string) =>
      step('symlink', path, () => {
        if (disk_().has(path)) throw failure('EEXIST', 'symlink', path)
        disk_().add(path, 'link', target)
      }),
    unlink: (path: string) =>
      step('unlink', path, () => {
        disk_().get(path, 'unlink')
        disk_().remove(path)
      }),
  }
  const disk_ = () => disks.get(current()?.world as object) as Disk
  const own = Object.entries(calls).map(([name, call]) => {
    const real = actual[name as keyof Files] as (...args: unknown[]) => unknown
    const virtual = call as (...args: unknown[]) => unknown
    return [name, (...args: unknown[]) => (current() ? virtual(...args) : real(...args))]
  })
  return { ...actual, ...Object.fromEntries(own) }
}
