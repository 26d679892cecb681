import { connect, inspect, isPassing, type Keys, type StreamState } from '@conveyor/stream'
import type { Redis } from 'ioredis'

/** A look at a stream now and then, over a connection that is opened again when it breaks. */
export class StreamWatch {
  private connection: Redis | undefined
  private samples: { at: number; produced: number; committed: number }[] = []

  constructor(
    readonly url: string,
    readonly keys: Keys,
  ) {}

  /** The connection. Rejects with `ConnectionLost`. */
  async redis(): Promise<Redis> {
    if (this.connection?.status !== 'ready') {
      this.connection?.disconnect()
      this.connection = await connect(this.url, 'conveyor-up')
    }
    return this.connection
  }

  /** The state of the stream, or undefined while Redis does not answer. */
  async look(): Promise<StreamState | undefined> {
    try {
      const state = await inspect(await this.redis(), this.keys)
      this.sample(state)
      return state
    } catch (error) {
      if (!isPassing(error)) throw error
      this.close()
      return undefined
    }
  }

  /** Packages per second over the last few seconds. */
  get rates(): { produced: number; committed: number } {
    const first = this.samples[0]
    const last = this.samples.at(-1)
    const seconds = first && last ? (last.at - first.at) / 1000 : 0
    if (!first || !last || seconds === 0) return { produced: 0, committed: 0 }
    return {
      produced: (last.produced - first.produced) / seconds,
      committed: (last.committed - first.committed) / seconds,
    }
  }

  close(): void {
    this.connection?.disconnect()
    this.connection = undefined
  }

  private sample({ sequence, done }: StreamState): void {
    const at = performance.now()
    const last = this.samples.at(-1)
    if (last && sequence < last.produced) this.samples = [] // a new run
    this.samples.push({ at, produced: sequence, committed: done })
    this.samples = this.samples.filter(sample => at - sample.at <= 3000)
  }
}
