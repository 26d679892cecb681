import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@conveyor/chaos'

export interface ToolOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd: string
  /** Answers with 200 when it is ready. */
  readonly health: string
}

/** Tools that are running; they must not outlive this process. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A program of the stack, which this process started and ends. */
export class Tool {
  private output = ''
  private child: ChildProcess | undefined
  private exited: Promise<void> = Promise.resolve()

  private constructor(private readonly options: ToolOptions) {}

  static async start(options: ToolOptions): Promise<Tool> {
    const tool = new Tool(options)
    await tool.start()
    return tool
  }

  /** Starts it (again), and waits until it is ready. */
  async start(): Promise<void> {
    const { name, command, args, env, cwd, health } = this.options
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let ended = false
    this.child = child
    running.add(child)
    this.exited = new Promise(resolve => {
      const end = () => {
        ended = true
        running.delete(child)
        resolve()
      }
      child.once('close', end).once('error', error => {
        this.output += error.message
        end()
      })
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output = `${this.output}${text}`.slice(-20_000)
      })
    }
    const answers = async () => {
      if (ended) throw new Error(`${name} ended:\n${this.lastWords()}`)
      return (await fetch(health).catch(() => undefined))?.ok
    }
    await until(answers, `${name} answers`, 60_000, () => this.lastWords())
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.exited
  }

  /** Asks it to end, and after 10 s makes it. */
  async stop(): Promise<void> {
    this.child?.kill('SIGTERM')
    const ended = await Promise.race([this.exited.then(() => true), sleep(10_000, false, { ref: false })])
    if (!ended) await this.kill()
  }

  lastWords(lines = 20): string {
    return `--- ${this.options.name}\n${this.output.trimEnd().split('\n').slice(-lines).join('\n')}`
  }
}
