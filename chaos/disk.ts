import { execFile } from 'node:child_process'
import { mkdir, rename, rm, statfs, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * A file system in a file, mounted by a loop device. What was written but not flushed is in the page cache of the
 * mounted file system, and not in the file: a copy of the file is what a power cut leaves.
 */
export class Disk {
  private constructor(
    private readonly image: string,
    readonly mountPoint: string,
  ) {}

  /** Makes one of `bytes`, which takes up only what is used. Rejects without root or loop devices. */
  static async make(image: string, mountPoint: string, bytes: number): Promise<Disk> {
    await writeFile(image, '')
    await truncate(image, bytes)
    await run('mkfs.ext4', ['-q', '-m', '0', image])
    await mkdir(mountPoint)
    const disk = new Disk(image, mountPoint)
    await disk.mount()
    return disk
  }

  /** Keeps what has been flushed so far; {@link cutPower} comes back with it. Nobody must write meanwhile. */
  async copy(): Promise<void> {
    await run('cp', ['--sparse=always', this.image, `${this.image}.copy`])
  }

  /** Has the disk come back as the copy. Nobody may have a file open there. */
  async cutPower(): Promise<void> {
    await this.unmount()
    await rename(`${this.image}.copy`, this.image)
    await this.mount()
  }

  /** Takes up all space that is left. */
  async fill(): Promise<void> {
    const { bavail, bsize } = await statfs(this.mountPoint)
    await run('fallocate', ['-l', String(bavail * bsize), this.ballast]).catch(() => {
      // Its own bookkeeping needs some of it: what fits is taken.
    })
  }

  async empty(): Promise<void> {
    await rm(this.ballast, { force: true })
  }

  async remove(): Promise<void> {
    await this.unmount()
    await rm(this.image, { force: true })
    await rm(`${this.image}.copy`, { force: true })
  }

  private get ballast(): string {
    return join(this.mountPoint, 'ballast')
  }

  /**
   * `commit=300`: nothing is flushed on its own while a copy is made. `barrier=0`: what is flushed has to be in the image
   * only, not on the disk below it.
   */
  private async mount(): Promise<void> {
    await run('mount', ['-o', 'loop,noatime,commit=300,barrier=0', this.image, this.mountPoint])
  }

  private async unmount(): Promise<void> {
    await run('umount', [this.mountPoint]).catch(() => run('umount', ['--lazy', this.mountPoint]))
  }
}
