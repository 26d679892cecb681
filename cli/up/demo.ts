import type { Child } from './child.ts'

/** What a console may ask of its parent: `console/demo.ts` says the same. */
interface Asked {
  readonly demo: { readonly id: number; readonly action: string; readonly consumer?: string }
}

/** What can be done to the services, for a demonstration. */
export interface Faults {
  /** Names of the consumers that run. */
  consumers(): readonly string[]
  /** Returns whether there is such a consumer. */
  signal(consumer: string, signal: NodeJS.Signals): boolean
  /** Starts one more consumer; returns its name. */
  add(): string
  /** Kills Redis; it comes back. Undefined for one that was not started here. */
  readonly restartRedis: (() => void) | undefined
}

const SIGNALS: Readonly<Record<string, readonly [signal: NodeJS.Signals, past: string]>> = {
  kill: ['SIGKILL', 'killed'],
  stop: ['SIGSTOP', 'stopped'],
  resume: ['SIGCONT', 'resumed'],
}

/** Offers a console to inject faults, over the channel between parent and child: nobody else can ask for them. */
export function offerFaults(console: Child, faults: Faults): void {
  console.onMessage(message => {
    const asked = (message as Partial<Asked>)?.demo
    if (asked) console.send({ demo: { id: asked.id, ...inject(faults, asked) } })
  })
  console.send({ demo: 'ready' })
}

function inject(faults: Faults, { action, consumer }: Asked['demo']): { text: string } | { error: string } {
  const signal = SIGNALS[action]
  if (signal) {
    const running = faults.consumers()
    const name = consumer ?? running[Math.floor(Math.random() * running.length)]
    if (name === undefined || !running.includes(name) || !faults.signal(name, signal[0]))
      return { error: `consumer ${name ?? ''} was not started here, or does not run now` }
    return { text: `${signal[1]} ${name} (${signal[0]})` }
  }
  if (action === 'add') return { text: `added ${faults.add()}` }
  if (action === 'restart-redis') {
    if (!faults.restartRedis) return { error: 'this Redis was not started here' }
    faults.restartRedis()
    return { text: 'killed Redis; it is started again' }
  }
  return { error: `there is no ${action}` }
}
