import { connect, DEADLINE, inspect, isPassing, type Keys, Rates, type StreamState } from '@conveyor/stream'
import type { Redis } from 'ioredis'

/** A look at a stream now and then, over a connection that is opened again when it breaks. */
export class StreamWatch {
  private connection: Redis | undefined
  private readonly risen = new Rates()

  /**
   * @param name of the connection, for CLIENT LIST
   * @param deadline ms that Redis may take to answer
   */
  constructor(
    readonly url: string,
    readonly keys: Keys,
    private readonly name = 'conveyor-up',
    private readonly deadline = DEADLINE,
  ) {}

  /** The connection. Rejects with `ConnectionLost`. */
  async redis(): Promise<Redis> {
    if (this.connection?.status !== 'ready') {
      this.connection?.disconnect()
      this.connection = await connect(this.url, this.name, this.deadline)
    }
    return this.connection
  }

  /** The state of the stream, or undefined while Redis does not answer. */
  async look(): Promise<StreamState | undefined> {
    try {
      const state = await inspect(await this.redis(), this.keys)
      this.risen.add([
        ['produced', state.sequence],
        ['committed', state.done],
      ])
      return state
    } catch (error) {
      if (!isPassing(error)) throw error
      this.close()
      return undefined
    }
  }

  /** Packages per second over the last few seconds. */
  get rates(): { produced: number; committed: number } {
    return { produced: this.risen.of('produced') ?? 0, committed: this.risen.of('committed') ?? 0 }
  }

  close(): void {
    this.connection?.disconnect()
    this.connection = undefined
  }
}
