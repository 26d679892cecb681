// Loaded into a process before its own code: at a step that FAULT names, the process fails.
import { open } from 'node:fs/promises'
import { Redis } from 'ioredis'

const { step, from, to, action, commit } = JSON.parse(process.env.FAULT)
let times = 0

const handle = await open('/dev/null')
const files = Object.getPrototypeOf(handle)
await handle.close()
const { write, datasync } = files
const { call } = Redis.prototype

/** What was written to each file since its last good fdatasync. */
const unsynced = new Map()

async function reach(here, file) {
  if (here !== step) return
  times++
  if (times < from || times > to) return
  if (action === 'EIO') {
    for (const [position, length] of unsynced.get(file) ?? [])
      await write.call(file, Buffer.alloc(length), 0, length, position)
    unsynced.delete(file)
    throw Object.assign(new Error('EIO: i/o error, fdatasync'), {
      code: 'EIO',
      syscall: 'fdatasync',
      errno: -5,
    })
  }
  process.kill(process.pid, action)
  // The signal may take a moment to arrive; nothing more is done until it has.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
}

files.write = async function (...args) {
  await reach('before write', this)
  const [, , length, position] = args
  if (!unsynced.has(this)) unsynced.set(this, [])
  unsynced.get(this).push([position, length])
  return write.apply(this, args)
}

files.datasync = async function () {
  await reach('before datasync', this)
  await datasync.call(this)
  unsynced.delete(this)
  await reach('after datasync', this)
}

Redis.prototype.call = async function (...args) {
  if (args[1] === commit) await reach('before commit')
  const reply = await call.apply(this, args)
  if (args[1] === commit) await reach('after commit')
  return reply
}
