import { spawn } from 'node:child_process'

export interface RunOptions {
  env: NodeJS.ProcessEnv
  /** Gets every line that the command prints, on either output, without its line end. */
  log?: (line: string) => void
  /** Milliseconds after which the command is sent SIGTERM. Default: never. */
  timeoutMs?: number
}

export interface RunResult {
  ok: boolean
  /** The last 50 lines that are not blank, of both outputs, oldest first. */
  lines: string[]
  /** Why it is not ok, in one line: what the system said, or the last thing the command printed. */
  cause: string
}

/**
 * Runs a command to its end with no standard input. Never rejects: a command that cannot be started,
 * fails or is killed is a result with `ok: false`.
 */
export function runCommand(
  command: string,
  args: readonly string[],
  { env, log = () => {}, timeoutMs }: RunOptions,
): Promise<RunResult> {
  return new Promise(resolve => {
    const lines: string[] = []
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
    const print = (printed: string) => {
      // A carriage return overwrites: of a progress display, only its end is a line.
      const line = printed.trimEnd().split('\r').at(-1) ?? ''
      if (line === '') return
      lines.push(line.trim())
      if (lines.length > 50) lines.shift()
      log(line)
    }
    for (const output of [child.stdout, child.stderr]) {
      let open = ''
      output.setEncoding('utf8')
      output.on('data', (text: string) => {
        const parts = (open + text).split('\n')
        open = parts.pop() ?? ''
        parts.forEach(print)
      })
      output.on('end', () => print(open))
    }
    child.on('error', error => resolve({ ok: false, lines, cause: error.message }))
    child.on('close', (code, signal) => {
      const end = signal ? `ended by ${signal}` : `exit code ${code}`
      resolve({ ok: code === 0, lines, cause: signal ? end : (lines.at(-1) ?? end) })
    })
  })
}
