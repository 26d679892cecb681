import { join } from 'node:path'
import {
  answer,
  type DueInFiles,
  deadLetter,
  dueInFiles,
  type Keys,
  type StreamState,
  unsettledAmong,
} from '@conveyor/stream'
import { CannotAnalyse, Following } from '@conveyor/validator'
import type { Redis } from 'ioredis'
import type { Verdict } from './contract.ts'
import { LettersSeen } from './letters-seen.ts'
import { byCounts, type Found, nothing, verdictOf } from './verdict.ts'

/**
 * Judges whether each package that was given out is in exactly one line, again and again, and reads only what has come
 * since. Redis is asked before the files are read, so that what it says must be there is there.
 */
export class Judge {
  /** Whether another look soon says more. */
  unsure = false
  private following = new Following()
  private letters = new LettersSeen()
  private epoch = ''
  /** What must be in the files, once they have the bytes that were committed then. */
  private due: DueInFiles | undefined
  private judgedTo = 0
  /** Packages that no line has and that are not known to be elsewhere, at the last look; and those looked for in vain. */
  private suspects = new Set<number>()
  private sought = new Set<number>()
  private gaps = new Set<number>()

  constructor(
    private readonly keys: Keys,
    private readonly outputDir: string,
  ) {}

  /** Bytes that are yet to be read by the look that is under way. */
  get bytesLeft(): number {
    return this.following.bytesLeft
  }

  /** The last package of each consumer's file. */
  get lastPackages(): ReadonlyMap<string, number> {
    return new Map(this.following.tally.files.map(({ file, scanner }) => [file.id, scanner.last]))
  }

  /** @param state as it was just now */
  async look(redis: Redis, state: StreamState): Promise<Verdict> {
    const { epoch } = state
    if (epoch === undefined) return nothing('nothing has been appended yet', state)
    if (epoch !== this.epoch) this.begin(epoch)
    this.unsure = false
    await this.letters.refresh(redis, this.keys, state)
    if (state.done > 0 && !state.consumers.some(({ output }) => output > 0))
      return byCounts(state, 'no output files are written: judged by the counts in Redis')
    try {
      return await this.judge(redis, state, epoch)
    } catch (error) {
      if (!(error instanceof CannotAnalyse)) throw error
      return byCounts(state, `the files cannot be judged: ${error.message}. ${error.hint}`)
    }
  }

  private begin(epoch: string): void {
    this.epoch = epoch
    this.following = new Following()
    this.letters = new LettersSeen()
    this.due = undefined
    this.judgedTo = 0
    for (const set of [this.suspects, this.sought, this.gaps]) set.clear()
  }

  private async judge(redis: Redis, state: StreamState, epoch: string): Promise<Verdict> {
    const due = await dueInFiles(redis, this.keys)
    if (due.epoch !== epoch) return nothing('a new run begins', state)
    this.due ??= due
    const sizes = await this.read(due)
    if (sizes.size === 0 && state.consumers.some(({ output, unflushed }) => output > unflushed))
      return byCounts(
        state,
        `there are no files of run ${epoch} in ${this.outputDir}: judged by the counts in Redis`,
      )
    if (this.due.top !== undefined && hasAll(sizes, this.due)) {
      this.judgedTo = Math.max(this.judgedTo, this.due.top)
      this.due = undefined
    }
    const { through } = this.following.tally.packages.unseen(this.judgedTo)
    await this.seekGaps(redis, state)
    const sequence = Number(await answer(redis.hget(this.keys.head, 'sequence')))
    return verdictOf(await this.found(redis, state, sequence, Math.min(this.judgedTo, through), sizes))
  }

  private read({ files }: DueInFiles): Promise<ReadonlyMap<string, number>> {
    const lengths = new Map([...files].map(([id, { committed }]) => [id, committed]))
    return this.following.look(join(this.outputDir, 'runs', this.epoch), lengths)
  }

  /** What no line has and is not in the dead letters either, is looked for once it has been so for a while. */
  private async seekGaps(redis: Redis, state: StreamState): Promise<void> {
    const { packages } = this.following.tally
    const suspects = this.absent()
    const stubborn = new Set([...suspects].filter(n => this.suspects.has(n)))
    this.suspects = suspects
    this.gaps = new Set([...this.gaps].filter(n => suspects.has(n)))
    if (stubborn.size === 0 || stubborn.size === this.gaps.size) return
    await this.letters.refresh(redis, this.keys, state, true)
    const known = this.absent()
    const unsettled = await unsettledAmong(redis, this.keys, stubborn)
    await this.letters.refresh(redis, this.keys, state, true)
    const due = await dueInFiles(redis, this.keys)
    if (!hasAll(await this.read(due), due)) return
    const absent = this.absent()
    const sought = new Set(
      [...stubborn].filter(n => known.has(n) && absent.has(n) && !unsettled.has(n) && !packages.has(n)),
    )
    // Twice, because between two looks a package may have been to the dead letters and back.
    this.gaps = new Set([...sought].filter(n => this.sought.has(n)))
    this.sought = sought
    this.suspects = absent
    this.unsure = sought.size > this.gaps.size
  }

  private absent(): Set<number> {
    const { dead, purged } = this.letters
    const { packages } = this.following.tally.packages.unseen(this.judgedTo)
    return new Set([...packages].filter(n => !dead.has(n) && !purged.has(n)))
  }

  private async found(
    redis: Redis,
    state: StreamState,
    sequence: number,
    judgedTo: number,
    sizes: ReadonlyMap<string, number>,
  ): Promise<Found> {
    const { packages, unreadable, files, bytes, highest } = this.following.tally
    const ids = files.map(({ file }) => file.id)
    const torn = files.filter(
      ({ file, scanner }) =>
        file.size === sizes.get(file.id) && this.isTorn(state, file.id, file.size) && scanner.tornLine(),
    )
    const { dead, purged } = this.letters
    const isInFile = (n: number) => packages.has(n)
    const deadProcessed = [...purged].filter(isInFile)
    for (const [n, { id }] of dead)
      if (isInFile(n) && (await deadLetter(redis, this.keys, id))) deadProcessed.push(n)
    return {
      run: this.epoch,
      at: state.at,
      sequence,
      judgedTo,
      bytes,
      unique: packages.unique,
      duplicated: packages.duplicated,
      duplicates: packages.duplicates(ids),
      gaps: [...this.gaps].sort((a, b) => a - b),
      above: highest > sequence ? packages.above(sequence) : { count: 0, lowest: undefined },
      unreadable: unreadable.total + torn.length,
      firstUnreadable:
        unreadable.first[0] ?? torn.map(({ scanner }) => scanner.tornLine()).find(line => line !== undefined),
      dead: [...dead.keys()].filter(n => !isInFile(n)).length,
      purged: [...purged].filter(n => !isInFile(n)).length,
      deadProcessed: deadProcessed.sort((a, b) => a - b),
      lost: state.lost,
    }
  }

  /** Outputs end with a whole line. */
  private isTorn({ consumers }: StreamState, id: string, size: number): boolean {
    const one = consumers.find(consumer => consumer.id === id)
    return one?.unflushed === 0 && size >= one.output
  }
}

/** Whether files have what was committed; one that lacks what was on disk will never have it. */
function hasAll(sizes: ReadonlyMap<string, number>, { files }: DueInFiles): boolean {
  return [...files].every(([id, { committed, flushed }]) => {
    const size = sizes.get(id) ?? 0
    return size >= committed || size < flushed
  })
}
