import {
  connect,
  inspect,
  keysOf,
  packageHistory,
  packageOfEntry,
  type Transition,
  type Whereabouts,
  whereaboutsOf,
} from '@conveyor/stream'
import type { Redis } from 'ioredis'

/** What has become of a message, for one group. */
export type MessageState = Whereabouts & {
  readonly package: number
  readonly epoch: string
  readonly group: string
  /** Oldest first; what is kept of it is up to the consumers' HISTORY. */
  readonly history: readonly Transition[]
}

/** The question cannot be answered as it was asked. */
export class BadQuestion extends Error {}

/** Too many ask at once. */
export class TooBusy extends Error {}

/** Questions that may wait, because each may look through all that is not yet committed. */
const MOST_WAITING = 16

/** Answers what has become of a message, one question after the other, over a connection of its own. */
export class Lookup {
  private redis: Redis | undefined
  private last: Promise<unknown> = Promise.resolve()
  private waiting = 0

  constructor(
    private readonly options: { url: string; stream: string; groups: readonly string[]; deadline: number },
  ) {}

  /**
   * @param which a package number, or a message's id
   * @param group default: the first of the producer's groups
   * @returns undefined when nothing is known of it, or its number was not given out
   * @throws {BadQuestion} {@link TooBusy}; `ConnectionLost`, `RedisError`
   */
  find(which: string, group?: string): Promise<MessageState | undefined> {
    const { groups } = this.options
    const of = group ?? (groups[0] as string)
    if (!groups.includes(of))
      throw new BadQuestion(`group ${JSON.stringify(of)}: ${groups.join(', ')} is allowed`)
    if (!/^(\d{1,15}|\d{1,15}-\d{1,15})$/.test(which))
      throw new BadQuestion(
        `${JSON.stringify(which)}: a package number, or an id such as 1783728000000-0, is allowed`,
      )
    if (this.waiting >= MOST_WAITING) throw new TooBusy('too many questions at once')
    this.waiting++
    const found = this.last.then(() => this.look(which, of)).finally(() => this.waiting--)
    this.last = found.catch(() => {})
    return found
  }

  close(): void {
    this.redis?.disconnect()
  }

  private async look(which: string, group: string): Promise<MessageState | undefined> {
    const { url, stream, deadline } = this.options
    const keys = keysOf(stream, group)
    if (this.redis?.status !== 'ready') this.redis = await connect(url, 'conveyor-lookup', deadline)
    const { redis } = this
    const number = which.includes('-') ? await packageOfEntry(redis, keys, which) : Number(which)
    if (number === undefined || number < 1) return undefined
    const { epoch } = await inspect(redis, keys)
    const where = await whereaboutsOf(redis, keys, number)
    if (where.state === 'not given out') return undefined
    return {
      package: number,
      epoch: epoch ?? '',
      group,
      ...where,
      history: await packageHistory(redis, keys, number),
    }
  }
}
