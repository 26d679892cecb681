import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Redis } from 'ioredis'
import { end, start, whileAlive } from './processes.ts'
import { settledBy, until } from './throughput.ts'

/** How a peer is run; which is fastest is found out before it is measured. */
export interface Setting {
  readonly processes: number
  /** Messages that one process works on at a time. */
  readonly concurrency?: number
  /** Messages in one call of a producer, and such calls under way at a time. */
  readonly bulk?: number
  readonly calls?: number
}

/** Another queue, by a script in peers/ that takes the role of a producer or a consumer. */
export interface Peer {
  /** With its version. */
  readonly name: string
  readonly command: readonly [file: string, script: string]
  readonly consumers: readonly [Setting, ...Setting[]]
  readonly producers: readonly [Setting, ...Setting[]]
  /** Messages that are queued, or given out and not finished. */
  left(redis: Redis, queue: string): Promise<number>
  /** A pattern for all keys that it leaves in Redis. */
  keys(queue: string): string
}

/** Where they are installed. */
const folder = fileURLToPath(new URL('../peers/', import.meta.url))
const python = fileURLToPath(new URL('../../.conveyor/bench-python/', import.meta.url))

/** Processes times messages at a time. */
const grid = (processes: number[], concurrency: number[]): [Setting, ...Setting[]] =>
  processes.flatMap(count => concurrency.map(each => ({ processes: count, concurrency: each }))) as [
    Setting,
    ...Setting[],
  ]

const PRODUCERS: [Setting, ...Setting[]] = [
  { processes: 2, bulk: 500 },
  { processes: 1, bulk: 500 },
  { processes: 1, bulk: 500, calls: 2 },
  { processes: 2, bulk: 100 },
]

const lists =
  (...keys: ((queue: string) => string)[]) =>
  async (redis: Redis, queue: string) => {
    const lengths = await Promise.all(keys.map(key => redis.llen(key(queue))))
    return lengths.reduce((sum, length) => sum + length, 0)
  }

/** Installed by npm. The first setting is taken when there is no time to try them all. */
const NODE = [
  {
    package: 'bullmq',
    title: 'BullMQ',
    consumers: grid([3, 2, 1], [400, 100]),
    left: lists(
      queue => `bull:${queue}:wait`,
      queue => `bull:${queue}:active`,
    ),
    keys: (queue: string) => `bull:${queue}:*`,
  },
  {
    package: 'bee-queue',
    title: 'bee-queue',
    consumers: grid([1, 2, 3], [400, 100]),
    left: lists(
      queue => `bq:${queue}:waiting`,
      queue => `bq:${queue}:active`,
    ),
    keys: (queue: string) => `bq:${queue}:*`,
  },
  {
    package: 'redis-smq',
    title: 'RedisSMQ',
    consumers: grid([1, 2], [10, 50]),
    // What its consumers hold, one each, counts as done: that is little, and in its favour.
    left: lists(queue => `redis-smq-800.26:default:1:${queue}`),
    keys: () => 'redis-smq-*', // a list of all queues among them
  },
]

/** The group of FastStream's subscribers. */
const GROUP = 'g'

/**
 * Installs the other queues into folders of their own, unless they are there, and says what is there; `missing` has a
 * sentence for each that is not. `patience`: ms that an installation may take.
 */
export async function findPeers(
  say: (text: string) => void,
  patience: number,
): Promise<{ peers: Peer[]; missing: string[] }> {
  const [node, py] = [await installNode(say, patience), await installPython(say, patience)]
  const missing = [...(node ? [`BullMQ, bee-queue, RedisSMQ are left out: ${node}`] : [])]
  if (py) missing.push(`FastStream is left out: ${py}`)
  const peers = node ? [] : NODE.map(nodePeer)
  return { peers: py ? peers : [...peers, fastStream()], missing }
}

function nodePeer({ package: name, title, ...peer }: (typeof NODE)[number]): Peer {
  const { version } = JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'))
  const command = [process.execPath, join(folder, `${name}.mjs`)] as const
  return { ...peer, name: `${title} ${version}`, command, producers: PRODUCERS }
}

function fastStream(): Peer {
  const [, version] = /^faststream\[redis\]==(.+)$/m.exec(
    readFileSync(join(folder, 'requirements.txt'), 'utf8'),
  ) as string[]
  return {
    name: `FastStream ${version}`,
    command: [join(python, 'bin/python'), join(folder, 'faststream_peer.py')],
    consumers: [{ processes: 3 }, { processes: 2 }, { processes: 1 }],
    producers: [
      { processes: 2, bulk: 500 },
      { processes: 1, bulk: 500 },
    ],
    left: async (redis, queue) => {
      const length = await redis.xlen(queue)
      return length > 0 ? length - (await settledBy(redis, queue, GROUP)) : 0
    },
    keys: queue => queue,
  }
}

/** Why not, or undefined. */
async function installNode(say: (text: string) => void, patience: number): Promise<string | undefined> {
  const lock = join(folder, 'package-lock.json')
  return installOnce(lock, join(folder, 'node_modules/.conveyor-lock'), async () => {
    say('bench: installing the queues to compare with (npm ci in bench/peers)')
    return run('npm', ['ci', '--loglevel=error'], patience)
  })
}

async function installPython(say: (text: string) => void, patience: number): Promise<string | undefined> {
  const list = join(folder, 'requirements.txt')
  return installOnce(list, join(python, '.conveyor-lock'), async () => {
    say('bench: installing FastStream (pip, into .conveyor/bench-python)')
    const created = await run('python3', ['-m', 'venv', '--clear', python], patience)
    if (created) return created
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', list]
    return run(join(python, 'bin/python'), pip, patience)
  })
}

/** Installs what `list` names unless `stamp` says that it is there. */
async function installOnce(
  list: string,
  stamp: string,
  install: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const wanted = createHash('sha256').update(readFileSync(list)).digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return undefined
  const failed = await install()
  if (!failed) writeFileSync(stamp, wanted)
  return failed
}

/** Why a command failed, in a line; undefined when it did not. */
async function run(file: string, args: string[], patience: number): Promise<string | undefined> {
  const child = start(file, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], timeout: patience })
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', text => {
    errors += text
  })
  try {
    const [code, signal] = await once(child, 'close')
    if (code === 0) return undefined
    const why = signal
      ? `took longer than ${patience / 1000} s`
      : errors.split('\n').find(line => /error/i.test(line))
    return `${file} ${args[0] === '-m' ? args[1] : args[0]}: ${why}`
  } catch (error) {
    return (error as Error).message
  }
}

/** Messages per second that a peer takes, from the first that is finished to the last. */
export async function peerConsumeRound(
  redis: Redis,
  peer: Peer,
  queue: string,
  total: number,
  setting: Setting,
): Promise<number> {
  await produceAll(redis, peer, queue, total, peer.producers[0])
  if ((await peer.left(redis, queue)) < total) throw new Error(`${peer.name}: its messages cannot be counted`)
  const children = await startPeers(redis, peer, 'consume', queue, setting)
  const measured = async () => {
    go(children)
    let started = 0
    await until(async () => {
      const left = await peer.left(redis, queue)
      if (left < total && started === 0) started = performance.now()
      return left === 0
    }, 5)
    return total / ((performance.now() - started) / 1000)
  }
  try {
    return await whileAlive(children, measured())
  } finally {
    await end(children, 'SIGKILL')
    await forget(redis, peer, queue)
  }
}

/** Messages per second that a peer appends, between the first tenth of `total` and its end. */
export async function peerProduceRound(
  redis: Redis,
  peer: Peer,
  queue: string,
  total: number,
  setting: Setting,
): Promise<number> {
  try {
    return await produceAll(redis, peer, queue, total, setting)
  } finally {
    await forget(redis, peer, queue)
  }
}

async function produceAll(
  redis: Redis,
  peer: Peer,
  queue: string,
  total: number,
  setting: Setting,
): Promise<number> {
  const each = Math.ceil(total / setting.processes)
  const children = await startPeers(redis, peer, 'produce', queue, setting, { total: each })
  try {
    const ended = Promise.all(
      children.map(async child => {
        const [code] = await once(child, 'exit')
        if (code !== 0) throw new Error(`${peer.name}: its producer failed`)
      }),
    )
    go(children)
    const appended = () => peer.left(redis, queue)
    await Promise.race([ended, until(async () => (await appended()) >= total / 10, 5)])
    const [first, started] = [await appended(), performance.now()]
    await Promise.race([ended, until(async () => (await appended()) >= total, 5)])
    const rate = ((await appended()) - first) / ((performance.now() - started) / 1000)
    await ended
    return rate
  } finally {
    await end(children, 'SIGKILL')
  }
}

/** Starts its processes and waits until each has said that it is ready. */
export async function startPeers(
  redis: Redis,
  peer: Peer,
  role: 'produce' | 'consume',
  queue: string,
  { processes, ...setting }: Setting,
  more: Record<string, unknown> = {},
): Promise<ChildProcess[]> {
  if (role === 'consume' && peer.name.startsWith('FastStream'))
    await redis.xgroup('CREATE', queue, GROUP, '0', 'MKSTREAM')
  const options = JSON.stringify({ port: redis.options.port, queue, ...setting, ...more })
  const [file, path] = peer.command
  const children = Array.from({ length: processes }, () =>
    start(file, [path, role, options], { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  try {
    const ready = Promise.all(children.map(child => child.stdout && once(child.stdout, 'data')))
    await whileAlive(children, ready)
    return children
  } catch (error) {
    await end(children, 'SIGKILL')
    throw error
  }
}

/** Lets processes that are ready begin. */
export function go(children: ChildProcess[]): void {
  for (const child of children) child.stdin?.write('go\n')
}

/** Removes whatever a peer has left in Redis. */
export async function forget(redis: Redis, peer: Peer, queue: string): Promise<void> {
  const stream = redis.scanStream({ match: peer.keys(queue), count: 1000 })
  for await (const keys of stream) if (keys.length > 0) await redis.unlink(...(keys as string[]))
}

/** A setting in words. */
export function described({ processes, concurrency, bulk, calls = 1 }: Setting): string {
  const each = [
    concurrency && `${concurrency} at a time`,
    bulk && `${bulk} a call`,
    calls > 1 && `${calls} calls at a time`,
  ]
  return [`${processes} ${processes > 1 ? 'processes' : 'process'}`, ...each.filter(Boolean)].join(', ')
}
