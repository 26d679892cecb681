import type { RedisProxy } from './proxy.ts'
import { type ServiceProcess, until } from './service-process.ts'

/** A place for a consumer or a producer: its id, its wire to Redis, and whoever runs there now. */
export class Slot {
  /** Whether something should run here. */
  wanted = true
  /** All that were ever started, oldest first. */
  readonly processes: ServiceProcess[] = []
  private restartAt = 0

  constructor(
    readonly name: string,
    readonly kind: 'consumer' | 'producer',
    readonly wire: RedisProxy,
    private readonly launch: () => ServiceProcess,
  ) {}

  get alive(): ServiceProcess[] {
    return this.processes.filter(one => one.alive)
  }

  start(): ServiceProcess {
    const started = this.launch()
    this.processes.push(started)
    this.restartAt = performance.now() + 500
    return started
  }

  /** Starts one if one is wanted and none lives, as a supervisor would. */
  ensure(): void {
    if (this.wanted && this.alive.length === 0 && performance.now() >= this.restartAt) this.start()
  }

  /** Kills all that live here; no other is started before `ms` have passed. */
  async kill(ms: number): Promise<void> {
    this.restartAt = performance.now() + ms
    await Promise.all(this.alive.map(one => one.kill()))
  }

  /** Kills all, and wants nobody here any more. */
  close(): Promise<void> {
    this.wanted = false
    return this.kill(0)
  }

  /** Asks for an orderly end, and wants nobody here any more. */
  async leave(): Promise<void> {
    this.wanted = false
    await Promise.all(
      this.alive.map(async one => {
        // A signal that comes before a process can take it ends it without more ado.
        await until(() => !one.alive || one.started, `${one.name} is started`, 90_000)
        await one.stop(90_000)
      }),
    )
  }

  /** How those ended that no signal ended, and that say no good reason: somebody else lives, or a fault holds them up. */
  strangeEnds(): string[] {
    return this.processes
      .filter(({ exit }) => exit && exit.code !== 0 && exit.signal === null)
      .filter(({ log }) => !/in use by the live process|could not finish in time/.test(`${log.at(-1)?.msg}`))
      .map(one => one.lastWords(5))
  }
}
