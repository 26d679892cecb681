import { Problem } from '@conveyor/service'
import { connect, isPassing } from '@conveyor/stream'
import type { Redis } from 'ioredis'

/** A connection that is opened when it is needed, and again after it broke. */
export class Link {
  private connection: Redis | undefined
  private opening: Promise<Redis> | undefined

  /**
   * @param name of the connection, for CLIENT LIST
   * @param deadline ms that Redis may take to answer
   */
  constructor(
    private readonly url: string,
    private readonly name: string,
    private readonly deadline: number,
  ) {}

  /** Rejects with `ConnectionLost`. */
  async redis(): Promise<Redis> {
    if (this.connection?.status === 'ready') return this.connection
    this.opening ??= this.open().finally(() => {
      this.opening = undefined
    })
    return this.opening
  }

  /** Runs work on it; what waiting may mend is a `Problem` 503. */
  async use<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    try {
      return await work(await this.redis())
    } catch (error) {
      if (!isPassing(error)) throw error
      this.close()
      throw new Problem(503, `Redis does not answer: ${(error as Error).message}`)
    }
  }

  close(): void {
    this.connection?.disconnect()
    this.connection = undefined
  }

  private async open(): Promise<Redis> {
    this.close()
    this.connection = await connect(this.url, this.name, this.deadline)
    return this.connection
  }
}
