// Loaded into a process before its own code. It names each step with which the process changes Redis or the output
// directory, such as `before commit`, `amid write file` or `after rename link`; STEPS gets the names of those that
// were taken. At the step that FAULT names, the process fails.
import { createHash } from 'node:crypto'
import { appendFileSync, constants, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { Redis } from 'ioredis'

const { FAULT = '{}', STEPS, OUTPUT_DIR, CONSUMER_ID } = process.env
const { step = '', from, to, action } = JSON.parse(FAULT)
const taken = new Set()
let times = 0

/** `lastly` is what happens before the process fails. */
function reach(here, lastly = () => {}) {
  if (STEPS && !taken.has(here)) appendFileSync(STEPS, `${here}\n`)
  taken.add(here)
  if (here !== step) return
  times++
  if (times < from || times > to) return
  lastly()
  if (action === 'EIO')
    throw Object.assign(new Error(`EIO: i/o error, ${here}`), { code: 'EIO', syscall: here, errno: -5 })
  writeSync(2, `${JSON.stringify({ level: 60, msg: `${action} ${here}` })}\n`)
  process.kill(process.pid, action)
  // The signal may take a moment to arrive; nothing more is done until it has.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
}

const peers = id => (id === CONSUMER_ID ? '' : "peer's ")

// Redis: a script by its name, and once more as `EVAL <name>` when the server does not know it; other commands by
// theirs. What only reads is no step, because dying there leaves what dying after the last change leaves.
const READS = /^(hello|auth|select|client|info|ping|xlen|xpending|xrange|xrevrange|hm?get|hkeys)$/i
const scripts = new Map()
const lua = new URL('../../stream/lua/', import.meta.url)
for (const file of readdirSync(lua)) {
  const source = readFileSync(new URL(file, lua), 'utf8')
  const name = file.replace('.lua', '')
  scripts.set(source, `EVAL ${name}`).set(createHash('sha1').update(source).digest('hex'), name)
}
/** Whether the server is to be made not to know any. */
const unknown = step.includes(' EVAL ')

function nameOf({ name, args: [script, count, ...rest] }) {
  if (!/^eval/i.test(name)) return READS.test(name) ? undefined : name.toUpperCase()
  const keys = rest.slice(0, Number(count))
  const [, id = CONSUMER_ID] = keys.map(key => /:output:(.+)$/.exec(key)).find(Boolean) ?? []
  return peers(id) + (scripts.get(`${script}`) ?? 'unknown script')
}

/** Whether it says that there was nothing to do. */
const idle = reply =>
  reply === null || reply === 0 || reply === '' || (Array.isArray(reply) && reply[0] === 0)

const { sendCommand } = Redis.prototype
Redis.prototype.sendCommand = function (command, ...rest) {
  const name = nameOf(command)
  if (!name) return sendCommand.call(this, command, ...rest)
  reach(`before ${name}`)
  if (unknown && /^evalsha$/i.test(command.name)) command.args[0] = '0'.repeat(40)
  return sendCommand.call(this, command, ...rest).then(reply => {
    if (!idle(reply)) reach(`after ${name}`)
    return reply
  })
}

// Files: an operation and what it is done to.
const NO_CHANGE = /^(access|close|constants|constructor|create|get|glob|l?stat|open|read|realpath|watch)/
const PLACES = [
  [/^$/, 'directory'],
  [/^runs$/, 'runs'],
  [/^runs\/\.owner$/, 'owner'],
  [/^runs\/[^/]+$/, 'run'],
  [/^runs\/[^/]+\/consumer_(.+)\.txt$/, 'file'],
  [/^consumer_(.+)\.txt$/, 'link'],
  [/^\.link-/, 'new link'],
  [/^runs\/[^/]+\/rollback$/, 'rollback'],
  [/\/rollback\/\w+-agreed-/, 'agreed'],
  [/\/rollback\/\w+-longer-/, 'longer'],
  [/\/rollback\//, 'copy'],
]

/** What a path names; undefined outside the output directory. */
function placeOf(path) {
  if (`${path}/`.startsWith(`${OUTPUT_DIR}/`) === false) return undefined
  const inside = path.slice(OUTPUT_DIR.length + 1)
  const [pattern, place] = PLACES.find(([pattern]) => pattern.test(inside)) ?? [/^/, inside]
  return peers(pattern.exec(inside)[1] ?? CONSUMER_ID) + place
}

/** What a crash in the midst of an operation leaves. */
const HALVES = {
  write: (file, [bytes, offset, length, position]) =>
    writeSync(file.fd, bytes, offset, length >> 1, position),
  copyFile: (_, [, to]) => writeFileSync(to, ''),
}

function observe(owner, name, find) {
  const operation = owner[name]
  owner[name] = async function (...args) {
    const place = find(this, args)
    if (place === undefined) return operation.apply(this, args)
    reach(`before ${name} ${place}`, () => loseUnsynced(this))
    if (HALVES[name]) reach(`amid ${name} ${place}`, () => HALVES[name](this, args))
    if (name === 'write') unsynced.set(this, [...(unsynced.get(this) ?? []), args])
    const result = await operation.apply(this, args)
    if (name === 'datasync') unsynced.delete(this)
    reach(`after ${name} ${place}`)
    return result
  }
}

/** What was written to each file since its last good fdatasync; a failing one loses it. */
const unsynced = new Map()

function loseUnsynced(file) {
  if (action !== 'EIO') return
  for (const [, , length, position] of unsynced.get(file) ?? [])
    writeSync(file.fd, Buffer.alloc(length), 0, length, position)
  unsynced.delete(file)
}

const handle = await fs.open('/dev/null')
const handles = Object.getPrototypeOf(handle)
await handle.close()

const creating = flags => (typeof flags === 'number' ? flags & constants.O_CREAT : /^[wa]/.test(flags))
observe(fs, 'open', (_, [path, flags = 'r']) => (creating(flags) ? placeOf(path) : undefined))
const { open } = fs
const opened = new WeakMap()
fs.open = async (...args) => {
  const file = await open(...args)
  opened.set(file, placeOf(args[0]))
  return file
}
for (const name of Object.keys(fs))
  if (!NO_CHANGE.test(name)) observe(fs, name, (_, args) => args.map(placeOf).findLast(Boolean))
for (const name of Object.getOwnPropertyNames(handles))
  if (!NO_CHANGE.test(name) && typeof Object.getOwnPropertyDescriptor(handles, name).value === 'function')
    observe(handles, name, file => opened.get(file))
syncBuiltinESMExports()
