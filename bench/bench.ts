import type { Redis } from 'ioredis'
import type { Peer } from './peers.ts'
import { duration, type Progress } from './progress.ts'
import type { Measured, Table } from './table.ts'

/** What all parts share. */
export interface Bench {
  /** One server for all, with appendfsync always. */
  readonly redis: Redis
  readonly url: string
  /** A folder for output files, removed at the end. */
  readonly outputDir: string
  readonly rounds: number
  /** Smaller amounts: a check that it runs, not a measurement. */
  readonly quick: boolean
  /** Other queues, as far as they could be installed. */
  readonly peers: readonly Peer[]
  /** A sentence for each queue that could not. */
  readonly missing: readonly string[]
  /** Whether what is found goes into the documentation, pictures included. */
  readonly docs: boolean
  readonly progress: Progress
}

export type Part = (bench: Bench) => Promise<Table[]>

export interface Contender {
  readonly name: string
  /** Measures once; `round` differs from call to call. */
  run(round: string): Promise<number>
}

/** Runs all contenders once a round, in turn, so that a machine that drifts drifts for all. */
export async function inTurn(
  { rounds, progress }: Pick<Bench, 'rounds' | 'progress'>,
  title: string,
  contenders: readonly Contender[],
): Promise<Measured[]> {
  const values = contenders.map((): number[] => [])
  const started = performance.now()
  for (let round = 1; round <= rounds; round++) {
    for (const [index, { name, run }] of contenders.entries()) {
      const done = (round - 1) * contenders.length + index
      const left = ((performance.now() - started) / done) * (rounds * contenders.length - done)
      const eta = round > 1 ? `, ${duration(left)} left` : ''
      progress.show(`${title}: round ${round} of ${rounds}, ${name}${eta}`)
      values[index]?.push(await run(`${round}_${index}`))
    }
  }
  progress.clear()
  return contenders.map(({ name }, index) => ({ name, values: values[index] as number[] }))
}
