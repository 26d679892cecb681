import { Problem } from '@conveyor/service'
import { answer } from '@conveyor/stream'
import type { DemoAction, Mark } from './contract.ts'
import type { Link } from './link.ts'

/** What the parent process is asked, and what it answers. Only `conveyor up` speaks this. */
export type ToParent = {
  readonly demo: { readonly id: number; readonly action: DemoAction; readonly consumer?: string }
}
export type FromParent =
  | { readonly demo: 'ready' }
  | { readonly demo: { readonly id: number; readonly text?: string; readonly error?: string } }

/** Ms that the parent may take, and for which a mark is shown. */
const PATIENCE = 20_000
const SHOWN = 5 * 60_000

/** Faults for a demonstration, which the parent process injects: without one that offers it, there are none. */
export class Demo {
  private ready = false
  private marked: Mark[] = []
  private asked = 0
  private readonly waiting = new Map<number, (answer: { text?: string; error?: string }) => void>()

  constructor(
    private readonly link: Link,
    private readonly parent: Pick<NodeJS.Process, 'on' | 'send'> = process,
  ) {
    parent.on('message', message => this.hear(message as FromParent))
  }

  get offered(): boolean {
    return this.ready
  }

  /** Oldest first. */
  get marks(): readonly Mark[] {
    const now = Date.now()
    this.marked = this.marked.filter(({ at }) => now - at < SHOWN)
    return this.marked
  }

  /** Does it, and marks it. Returns what was done, for people. */
  async run(action: DemoAction, consumer: string | undefined): Promise<string> {
    const text = action === 'cut' ? await this.cut(consumer) : await this.ask(action, consumer)
    this.marked.push({ at: Date.now(), kind: action, text })
    return text
  }

  private hear(message: FromParent): void {
    const demo = message?.demo
    if (demo === 'ready') this.ready = true
    else if (demo) this.waiting.get(demo.id)?.(demo)
  }

  private async ask(action: DemoAction, consumer: string | undefined): Promise<string> {
    const id = ++this.asked
    const { text, error } = await new Promise<{ text?: string; error?: string }>(resolve => {
      const timer = setTimeout(() => resolve({ error: `not within ${PATIENCE / 1000} s` }), PATIENCE)
      this.waiting.set(id, found => {
        clearTimeout(timer)
        resolve(found)
      })
      const message: ToParent = { demo: { id, action, ...(consumer !== undefined && { consumer }) } }
      this.parent.send?.(message)
    })
    this.waiting.delete(id)
    if (text === undefined) throw new Problem(409, error ?? 'it could not be done')
    return text
  }

  /** Cuts the connections of one consumer, or of all consumers and the producer. */
  private cut(consumer: string | undefined): Promise<string> {
    return this.link.use(async redis => {
      const list = String(await answer(redis.call('CLIENT', 'LIST')))
      const ids = list.split('\n').flatMap(line => {
        const name = / name=conveyor-(\S+)/.exec(line)?.[1]
        const isTheirs =
          consumer === undefined
            ? name !== undefined && !name.startsWith('console') && !name.startsWith('up')
            : ['commit', 'read', 'output'].some(role => name === `${consumer}-${role}`)
        return isTheirs ? (/^id=(\d+)/.exec(line)?.[1] ?? []) : []
      })
      for (const id of ids) await answer(redis.call('CLIENT', 'KILL', 'ID', id))
      return `cut ${ids.length} connections ${consumer === undefined ? 'of all' : `of ${consumer}`}`
    })
  }
}
