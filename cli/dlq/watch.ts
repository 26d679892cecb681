import {
  answer,
  backoff,
  compareIds,
  connect,
  type DeadLetter,
  filtered,
  isPassing,
  type Judge,
  type Keys,
  keysOf,
  type LetterFilter,
  NotReplayable,
  newestDeadLetter,
  pace,
  pause,
  redisNow,
  replayDeadLetter,
  replayJudge,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'
import type { Target } from '../options.ts'
import { note, say } from '../print.ts'
import { interruptible } from './interrupt.ts'
import { letters, oneLine } from './text.ts'

export interface WatchOptions extends LetterFilter {
  /** Seconds between two rounds. */
  readonly interval: number
  readonly rate?: number
  readonly maxReplays: number
}

/** What became of the letters that a round came across. */
interface Tally {
  replayed: number
  quarantined: number
  refused: number
}

/** Replays letters as they come, until it is interrupted. Rejects when Redis cannot be reached at first. */
export async function watchLetters(target: Target, options: WatchOptions): Promise<void> {
  const watch = new Watch(target, options)
  await interruptible(stop => watch.run(stop))
}

class Watch {
  private readonly keys: Keys
  /** Every letter up to this one was looked at, in the life of the stream that it is of. */
  private seen: { epoch: string | undefined; id: string | undefined } = { epoch: undefined, id: undefined }
  private total = 0

  constructor(
    private readonly target: Target,
    private readonly options: WatchOptions,
  ) {
    this.keys = keysOf(target.stream, target.group)
  }

  async run(stop: AbortSignal): Promise<void> {
    let redis: Redis | undefined = await this.connect()
    const turn = pace(this.options.rate, stop)
    try {
      for (let failures = 0; !stop.aborted; ) {
        try {
          redis ??= await this.connect()
          await this.round(redis, turn, stop)
          if (failures > 0) await note('Redis is back')
          failures = 0
          await pause(this.options.interval * 1000, stop)
        } catch (error) {
          if (!isPassing(error)) throw error
          redis?.disconnect()
          redis = undefined
          if (failures === 0) await note(`Redis is away, trying again: ${oneLine((error as Error).message)}`)
          await pause(backoff(++failures), stop)
        }
      }
    } finally {
      redis?.disconnect()
    }
    await note(`replayed ${letters(this.total)} in all`)
  }

  private connect(): Promise<Redis> {
    return connect(this.target.redisUrl, 'conveyor-dlq-watch')
  }

  /** Looks at the letters that are new, or old enough by now. */
  private async round(redis: Redis, turn: () => Promise<void>, stop: AbortSignal): Promise<void> {
    const { keys, options } = this
    const epoch = (await answer(redis.hget(keys.head, 'epoch'))) ?? undefined
    if (epoch !== this.seen.epoch) this.seen = { epoch, id: undefined }
    const through = await this.end(redis)
    if (through === undefined || (this.seen.id && compareIds(through, this.seen.id) <= 0)) return
    const judge = await replayJudge(redis, keys, options.maxReplays)
    const tally: Tally = { replayed: 0, quarantined: 0, refused: 0 }
    const range = { through, ...(this.seen.id && { after: this.seen.id }) }
    try {
      for await (const letter of filtered(redis, keys, options, range)) {
        await turn()
        if (stop.aborted) return
        await this.look(redis, letter, judge, tally)
        this.seen.id = letter.id
      }
      this.seen.id = through
    } finally {
      this.total += tally.replayed
      if (Object.values(tally).some(count => count > 0)) await say(described(tally))
    }
  }

  /** Last letter that this round is to look at: those that die again while it runs are for the next. */
  private async end(redis: Redis): Promise<string | undefined> {
    const newest = await newestDeadLetter(redis, this.keys)
    const { minAge = 0 } = this.options
    if (newest === undefined || minAge === 0) return newest
    const oldEnough = `${Math.max(0, (await redisNow(redis)) - minAge)}-0`
    return compareIds(newest, oldEnough) <= 0 ? newest : oldEnough
  }

  private async look(redis: Redis, letter: DeadLetter, judge: Judge, tally: Tally): Promise<void> {
    const verdict = judge(letter)
    if (verdict && 'quarantined' in verdict) tally.quarantined++
    else if (verdict) tally.refused++
    else {
      try {
        if ((await replayDeadLetter(redis, this.keys, letter.id)) !== undefined) tally.replayed++
      } catch (error) {
        if (!(error instanceof NotReplayable)) throw error
        tally.refused++
      }
    }
  }
}

function described({ replayed, quarantined, refused }: Tally): string {
  const parts = [
    replayed > 0 && `replayed ${letters(replayed)}`,
    quarantined > 0 && `${letters(quarantined)} in quarantine`,
    refused > 0 && `${letters(refused)} cannot be replayed`,
  ]
  return `${new Date().toISOString()}  ${parts.filter(part => part !== false).join(', ')}`
}
