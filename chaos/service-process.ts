import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

/** A line of a service's log: pino's fields. */
export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A process of the project, with all that it logs and how it ends. */
export class ServiceProcess {
  /** The JSON lines of its log, oldest first. */
  readonly log: LogLine[] = []
  /** Everything that it printed, as it came. */
  output = ''
  exit: Exit | undefined
  readonly exited: Promise<Exit>
  private readonly child: ChildProcess

  constructor(
    readonly name: string,
    script: string,
    args: readonly string[],
    { env, cwd }: { env: NodeJS.ProcessEnv; cwd: string },
  ) {
    this.child = spawn(process.execPath, [script, ...args], { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', line => this.read(line))
    }
    this.exited = new Promise(resolve => {
      this.child.once('close', (code, signal) => {
        this.exit = { code, signal }
        resolve(this.exit)
      })
    })
  }

  get pid(): number {
    return this.child.pid as number
  }

  /** Whether it has come so far that a signal has it finish. */
  get started(): boolean {
    return this.log.some(({ msg }) => / started$/.test(msg))
  }

  get alive(): boolean {
    return this.exit === undefined
  }

  send(signal: NodeJS.Signals): void {
    if (this.alive) this.child.kill(signal)
  }

  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<Exit> {
    this.send('SIGKILL')
    return this.exited
  }

  /** Asks it to finish. Rejects when it has not ended after `ms`. */
  stop(ms = 30_000): Promise<Exit> {
    this.send('SIGCONT')
    this.send('SIGTERM')
    return this.ended(ms)
  }

  /** How it ended. Rejects when it lives on after `ms`. */
  async ended(ms = 30_000): Promise<Exit> {
    const exit = await Promise.race([this.exited, sleep(ms, undefined, { ref: false })])
    if (exit) return exit
    throw new Error(`${this.name} has not ended within ${ms} ms; it said:\n${this.lastWords()}`)
  }

  /** Resolves when the kernel has stopped the process (SIGSTOP, by itself or by others). */
  async stopped(ms = 30_000): Promise<void> {
    await until(
      async () => (await processState(this.pid)) === 'T',
      `${this.name} is stopped`,
      ms,
      () => this.lastWords(),
    )
  }

  /** Log lines whose text begins with `text`. */
  lines(text: string): LogLine[] {
    return this.log.filter(({ msg }) => msg.startsWith(text))
  }

  /** Waits until the log has `count` lines whose text begins with `text`; returns the last of them. */
  async logged(text: string, { count = 1, ms = 60_000 } = {}): Promise<LogLine> {
    const found = () => this.lines(text)[count - 1]
    const what = `${this.name} logs "${text}"${count > 1 ? ` ${count} times` : ''}`
    return until(found, what, ms, () => this.lastWords())
  }

  lastWords(lines = 15): string {
    const state = this.exit ? `exit ${this.exit.code ?? this.exit.signal}` : 'alive'
    const words = this.output.trimEnd().split('\n').slice(-lines)
    return `--- ${this.name} (${state})\n${words.map(line => line.slice(0, 600)).join('\n')}`
  }

  private read(line: string): void {
    this.output += `${line}\n`
    if (!line.startsWith('{')) return
    try {
      this.log.push(JSON.parse(line) as LogLine)
    } catch {
      // A line that was cut by a kill.
    }
  }
}

/** Waits until `condition` gives something true, and returns it; throws, naming `what`, after `ms`. */
export async function until<T>(
  condition: () => T | undefined | Promise<T | undefined>,
  what: string,
  ms: number,
  explain: () => string = () => '',
): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}\n${explain()}`)
    await sleep(10)
  }
}

/** The kernel's letter for a process: R, S, T (stopped), Z, …; undefined when there is none. */
async function processState(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  return /^\d+ \(.*\) (\w)/s.exec(stat)?.[1]
}
