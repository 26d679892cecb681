import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keysOf, openStream } from '@conveyor/stream'
import type { Part } from './bench.ts'
import { drawFlames, type Frame } from './flames.ts'
import { end, service, whileAlive } from './processes.ts'
import { consumerEnv, fill, settledBy, until } from './throughput.ts'

/** As Node.js writes it. */
interface CpuProfile {
  readonly nodes: { id: number; callFrame: { functionName: string; url: string }; children?: number[] }[]
  readonly samples: number[]
  /** µs before each sample. */
  readonly timeDeltas: number[]
}

/** Where a consumer's CPU time goes, and a flame graph of it, which `--docs` puts beside the text. */
export const profile: Part = async ({ redis, url, outputDir, quick, progress, docs }) => {
  progress.show('Profile of a consumer')
  const total = quick ? 100_000 : 1_000_000
  const stream = 'bench_profile'
  const folder = join(outputDir, 'profile')
  await mkdir(folder)
  await fill(url, stream, total)
  await openStream(redis, keysOf(stream, 'g'), ['g'])
  const child = service('consumer', {
    env: consumerEnv(url, stream, 'g', 'c1', `${outputDir}/${stream}`),
    node: ['--cpu-prof', `--cpu-prof-dir=${folder}`],
  })
  try {
    const done = until(async () => (await settledBy(redis, stream, 'g')) >= total)
    await whileAlive([child], done)
  } finally {
    await end([child]) // gently: it writes the profile at its end
    await redis.unlink(stream)
  }
  const [file] = await readdir(folder)
  const root = tree(JSON.parse(await readFile(join(folder, file as string), 'utf8')))
  if (docs) {
    const picture = new URL('../../docs/pictures/consumer-profile.svg', import.meta.url)
    await writeFile(picture, drawFlames(root))
  }
  const shares = [...areas(root)].sort(([, a], [, b]) => b - a)
  return [
    {
      id: 'profile',
      title: 'Where a consumer spends its CPU time',
      head: ['', 'share of the time that it is busy'],
      rows: shares
        .filter(([, share]) => share >= 0.01)
        .map(([area, share]) => [area, `${(100 * share).toFixed(0)} %`]),
      figures: Object.fromEntries(shares),
    },
  ]
}

/** The call tree, with the time of each function in ms, its callees' included; without idle time. */
function tree({ nodes, samples, timeDeltas }: CpuProfile): Frame {
  const self = new Map<number, number>()
  for (const [index, id] of samples.entries())
    self.set(id, (self.get(id) ?? 0) + (timeDeltas[index] as number) / 1000)
  const byId = new Map(nodes.map(node => [node.id, node]))
  const frame = (id: number): Frame => {
    const { callFrame, children = [] } = byId.get(id) as CpuProfile['nodes'][number]
    const callees = children.map(frame).filter(({ name }) => name !== '(idle)')
    const own = self.get(id) ?? 0
    return {
      name: callFrame.functionName || '(anonymous)',
      area: areaOf(callFrame.url, callFrame.functionName),
      self: own,
      ms: callees.reduce((sum, { ms }) => sum + ms, own),
      callees,
    }
  }
  return frame((nodes[0] as CpuProfile['nodes'][number]).id)
}

/** Which part of the program a function belongs to. */
function areaOf(url: string, name: string): string {
  if (url.includes('/node_modules/')) return /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] as string
  const own = /\/(stream|consumer|service)\/dist\/(.+)\.js$/.exec(url)
  if (own) return `${own[1]}/${own[2]}.ts`
  if (name === '(garbage collector)') return 'garbage collection'
  if (url.startsWith('node:')) return 'Node.js'
  return 'V8 and system calls'
}

/** Each area's share of all busy time, callees not included. */
function areas(root: Frame): Map<string, number> {
  const found = new Map<string, number>()
  const add = ({ area, self, callees }: Frame) => {
    found.set(area, (found.get(area) ?? 0) + self / root.ms)
    callees.forEach(add)
  }
  add(root)
  return found
}
