import { type ChildProcess, fork } from 'node:child_process'
import { createWriteStream, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const require = createRequire(import.meta.url)

/** Workspaces that can be run as a service. */
export type Service = 'producer' | 'consumer' | 'console' | 'rabbitmq' | 'source'

/** How a service ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Its last complaint, if it had one. */
  readonly reason: string | undefined
}

/**
 * A service as a process of its own. It is in a process group of its own, so that Ctrl-C reaches only the
 * parent, which drains; and on a channel to the parent, so that it stops when the parent is gone.
 */
export class Child {
  readonly exited: Promise<Exit>
  private readonly process: ChildProcess
  private reason: string | undefined
  private quiet = 0

  /**
   * @param service workspace that exports `./main`
   * @param logFile gets what the service prints
   * @param note called with what the service warns of
   */
  constructor(
    readonly service: Service,
    readonly name: string,
    env: NodeJS.ProcessEnv,
    logFile: string,
    note: (text: string) => void,
  ) {
    mkdirSync(join(logFile, '..'), { recursive: true })
    const log = createWriteStream(logFile, { flags: 'a' })
    this.process = fork(require.resolve(`@conveyor/${service}/main`), {
      env: { ...process.env, ...env },
      execArgv: telemetryOf(process.env),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      if (!stream) continue
      createInterface({ input: stream }).on('line', line => {
        log.write(`${line}\n`)
        const complaint = complaintOf(line)
        if (complaint === undefined) return
        if (complaint.startsWith(DEAD_LETTER)) {
          if (performance.now() < this.quiet) return
          this.quiet = performance.now() + QUIET
        } else this.reason = complaint
        note(`${name}: ${complaint}`)
      })
    }
    this.exited = new Promise(resolve => {
      this.process.once('close', (code, signal) => {
        log.end()
        resolve({ code, signal, reason: this.reason })
      })
    })
  }

  /** Says something to the service, and hears what it says. */
  send(message: object): void {
    if (this.process.connected) this.process.send(message)
  }

  onMessage(listen: (message: unknown) => void): void {
    this.process.on('message', listen)
  }

  get pid(): number | undefined {
    return this.process.pid
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.process.kill(signal)
  }
}

/** Loads the SDK into a service when somebody is there to receive what it sends. */
function telemetryOf(env: NodeJS.ProcessEnv): string[] {
  const wanted = ['', '_TRACES', '_METRICS'].some(signal => env[`OTEL_EXPORTER_OTLP${signal}_ENDPOINT`])
  return wanted ? ['--import', import.meta.resolve('@conveyor/telemetry')] : []
}

const WARN = 40
const DEAD_LETTER = 'dead letter'
/** Ms after which another dead letter is worth a word: how many there are, the summary says. */
const QUIET = 10_000

/** The text of a log line that warns or worse, with what explains it; undefined for all others. */
function complaintOf(line: string): string | undefined {
  if (!line.startsWith('{')) return line
  try {
    const { level, msg, package: number, reason, detail, from, count, group } = JSON.parse(line)
    if (level < WARN) return undefined
    const more = [number && `package ${number}`, from && `from ${from}`, count, group, reason, detail]
      .filter(Boolean)
      .join(' ')
    return more ? `${msg} (${more})` : msg
  } catch {
    return line
  }
}
