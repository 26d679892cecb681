import { type Pipeline, random } from '@conveyor/chaos'
import { test, vi } from 'vitest'
import {
  crash,
  expectExactlyOnce,
  leaveLink,
  loseLastMoments,
  POINTS,
  type Point,
  removeLink,
  startCrashPipeline,
} from './crash-points.ts'

const PAIRS = Number(process.env.CRASH_PAIRS || 6)
const SEED = Number(process.env.CRASH_SEED || Date.now() % 1_000_000)

vi.setConfig({ testTimeout: 300_000 + PAIRS * 100_000 })

const matching = (points: readonly Point[], steps: RegExp) => points.filter(([step]) => steps.test(step))
const without = (points: readonly Point[], steps: RegExp) => points.filter(([step]) => !steps.test(step))

/** Of a consumer with a new id; the directory has its owner already. */
const FIRST = without([...POINTS.start, ...POINTS.work], /symlink owner|handover/)
/** Those after which entries are in hand, and those after which there is output that was never in a file. */
const IN_HAND = matching(POINTS.work, /after XREADGROUP|before .*commit/)
const UNWRITTEN = matching(POINTS.work, /after commit|(write|datasync) file/).filter(([, time]) => time === 1)
/** Of a consumer whose file may be there. */
const AGAIN = without(
  [...POINTS.start, ...POINTS.work, ...POINTS.stop],
  /symlink owner|open file|sync run|close|tidy/,
)
/** Those after which other files are still to be cut back. */
const CUTTING = without(POINTS.audit, /audited/)

test(`${PAIRS} pairs: whoever comes after one who was killed is killed as well`, async () => {
  console.log(`CRASH_SEED=${SEED}`)
  const pipeline = await startCrashPipeline()
  const pairs = new Pairs(pipeline, random(SEED))
  for (let pair = 1; pair <= PAIRS; pair++) await pairs.next()
})

class Pairs {
  private ids = 0
  /** What happened in the present pair. */
  private killed: string[] = []

  constructor(
    private readonly pipeline: Pipeline,
    private readonly random: () => number,
  ) {}

  async next(): Promise<void> {
    const { pipeline } = this
    this.killed = []
    try {
      pipeline.producer(0, { RATE: '500' })
      const ids = await this.oneOf([this.itself, this.peer, this.producer, this.auditors]).call(this)
      pipeline.consumers(ids)
      await expectExactlyOnce(pipeline)
    } catch (error) {
      throw new Error(`CRASH_SEED=${SEED}: ${this.killed.join(', ')}`, { cause: error })
    }
  }

  /** A consumer, and the process that takes its place. */
  private async itself(): Promise<string[]> {
    const id = this.newId()
    const first = this.oneOf(FIRST)
    await this.kill(id, first)
    await this.kill(id, this.oneOf(IN_HAND.includes(first) ? AGAIN : without(AGAIN, /handover/)))
    return [id]
  }

  /** A consumer, and the peer that looks after what it has left. */
  private async peer(): Promise<string[]> {
    const [gone, peer] = [this.newId(), this.newId()]
    await this.kill(gone, this.oneOf(UNWRITTEN))
    await removeLink(this.pipeline, gone)
    await this.kill(peer, this.oneOf([...POINTS.peer, ...POINTS.peerUnknown]))
    return [gone, peer]
  }

  /** A consumer, and a producer while the consumer comes back. */
  private async producer(): Promise<string[]> {
    const id = this.newId()
    await this.kill(id, this.oneOf(FIRST))
    this.pipeline.consumer(id)
    const point = this.oneOf(POINTS.producer)
    this.killed.push(`producer ${point.join(' ')}`)
    await crash(env => this.pipeline.producer(0, { RATE: '500', ...env }), point)
    return []
  }

  /** Two who cut files back. */
  private async auditors(): Promise<string[]> {
    const writers = [this.newId(), this.newId()]
    await loseLastMoments(this.pipeline, writers)
    const auditor = this.newId()
    await this.kill(auditor, this.oneOf(CUTTING))
    await this.kill(this.oneOf([auditor, this.newId()]), this.oneOf(CUTTING))
    return [...writers, auditor]
  }

  private async kill(id: string, point: Point): Promise<void> {
    this.killed.push(`${id} ${point.join(' ')}`)
    if (POINTS.start.includes(point)) await leaveLink(this.pipeline, id)
    await crash(env => this.pipeline.consumer(id, env), point)
  }

  private oneOf<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)] as T
  }

  private newId(): string {
    return `c${++this.ids}`
  }
}
