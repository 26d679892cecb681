import { join } from 'node:path'
import { EXIT } from '@conveyor/service'
import { Child, type Exit, type Service } from './child.ts'

export interface SupervisorOptions {
  /** Variables for all services. */
  readonly env: NodeJS.ProcessEnv
  readonly logs: string
  readonly note: (text: string) => void
}

/** Ms until a service that was killed is started again. */
const RESTART = 1000

/**
 * Keeps services running: one that is killed by a signal is started again under its name; one that ends by
 * itself has a reason, which starting it again would not mend.
 */
export class Supervisor {
  private readonly children = new Map<string, Child>()
  private readonly stopped = new Set<string>()
  private readonly timers = new Map<NodeJS.Timeout, Service>()

  /** Whether a service has ended because of a setting that it cannot use. */
  unusable = false

  constructor(private readonly options: SupervisorOptions) {}

  /** Names of the services that run, of one kind or all. */
  running(service?: Service): Set<string> {
    const all = [...this.children].filter(([, child]) => service === undefined || child.service === service)
    return new Set(all.map(([name]) => name))
  }

  /** Whether any service of a kind runs or is about to be started again. */
  busy(service: Service): boolean {
    return this.running(service).size > 0 || [...this.timers.values()].includes(service)
  }

  /** Sends a signal to a running service. Returns whether there was one. */
  signal(name: string, signal: NodeJS.Signals): boolean {
    const child = this.children.get(name)
    child?.kill(signal)
    return child !== undefined
  }

  start(service: Service, name: string, env: NodeJS.ProcessEnv, onStart?: (child: Child) => void): void {
    const { note, logs } = this.options
    const child = new Child(service, name, { ...this.options.env, ...env }, join(logs, `${name}.log`), note)
    this.children.set(name, child)
    onStart?.(child)
    void child.exited.then(exit => {
      this.children.delete(name)
      if (this.stopped.has(name)) return
      note(`${name} ${ending(exit)}`)
      if (exit.code === EXIT.usage) this.unusable = true
      if (exit.signal === null) return
      const timer = setTimeout(() => {
        this.timers.delete(timer)
        if (!this.stopped.has(name)) this.start(service, name, env, onStart)
      }, RESTART)
      this.timers.set(timer, service)
    })
  }

  /** Asks services to finish, and waits until they have. */
  async stop(names: Iterable<string>): Promise<void> {
    const all = [...names]
    for (const name of all) this.stopped.add(name)
    await Promise.all(
      all.map(name => {
        const child = this.children.get(name)
        child?.kill('SIGTERM')
        child?.kill('SIGCONT') // it may have been stopped
        return child?.exited
      }),
    )
  }

  /** Ends all at once. */
  kill(): void {
    for (const timer of this.timers.keys()) clearTimeout(timer)
    for (const [name, child] of this.children) {
      this.stopped.add(name)
      child.kill('SIGKILL')
    }
  }
}

function ending({ code, signal, reason }: Exit): string {
  if (signal !== null) return `was ended by ${signal}: starting it again`
  return `ended with exit code ${code}${reason ? `: ${reason}` : ''}`
}
